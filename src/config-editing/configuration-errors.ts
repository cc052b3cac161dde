import { type ErrorCatalogue, failures, reject, retry } from '../platform/errors.ts';

/** Errors of changes to the configuration over HTTP. */
export const configurationErrors = {
  'configuration-read-only': reject(
    'The configuration cannot be changed over HTTP: `http.configuration` is `read-only`, or the agent may not write the file or its folder.',
    'Edit the file on the box, then reload the agent. To allow changes over HTTP, set `http.configuration: edit` and give the Unix user of the agent the right to write the file and its folder.',
  ),
  'configuration-changed': reject(
    'The file was changed after the text was read that the change started from.',
    'Read the file again and make the change in the new text.',
  ),
  'configuration-invalid': reject(
    'The text has problems that `andon check` reports, or is larger than a configuration file may be. The file was not changed.',
    'Fix the reported lines.',
  ),
  'configuration-unreadable': retry(
    'The configuration file cannot be read.',
    'Check that the file exists and that the Unix user of the agent may read it.',
  ),
  'configuration-not-written': retry(
    'The configuration file or its backup could not be written. The file was not changed.',
    'The message names the cause: a full disk, or the rights of the folder.',
  ),
  'configuration-check-failed': retry(
    'The text was not checked: too many checks wait, or the thread that checks ended or took too long.',
    'Try again. If it repeats, run `andon check FILE` on the box.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const configurationFailure = failures(configurationErrors);
