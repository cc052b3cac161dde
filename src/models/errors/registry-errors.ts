import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

/** Errors of the operations on the model directory: install, activate, rollback, pin, remove. */
export const registryErrors = {
  'model-package-invalid': reject(
    'The file or folder is not a model package: model.onnx and model.yaml, optionally model.sig and documents.',
    'The message names the wrong file or entry. docs/models.md describes a package.',
  ),
  'model-package-too-large': reject(
    'A package, or a file in it, is over its size limit, as received or after unpacking.',
    'Raise `models.maxModelSize` if the model is really that large.',
  ),
  'model-download-failed': retry(
    'A package did not arrive: its server did not answer in time or answered with an error, or the connection broke.',
    'Try the URL on the machine of the agent. `models.receiveDeadline` is the time limit for a package.',
  ),
  'model-version-taken': reject(
    'Another package was installed, or trained, with this name and version.',
    'Write the next free version, which the message names, into its model.yaml.',
  ),
  'model-version-unknown': reject(
    'The model directory has no such model, or no such version of it.',
    'See `andon models list`.',
  ),
  'model-document-unknown': reject(
    'The version has no such document.',
    'The message names its documents, such as report.md.',
  ),
  'model-version-not-active': reject('Only the active version can be pinned.', 'Activate it first.'),
  'model-version-in-use': reject(
    'The version cannot be removed: it is active, it is the previous version, a watch uses it, or the running agent has it loaded.',
    'Activate another version, or remove it from the watches. `--force` removes the previous version.',
  ),
  'model-watch-incompatible': reject(
    'A watch of the configuration gives the model other columns, or in other units, than the version takes.',
    'Train or export it with the tags of the watch, in their order; the message names the watch and the tags.',
  ),
  'audit-key-invalid': reject(
    'The key of the audit logs is too short.',
    'Make one with `openssl rand -hex 32`, in the file that `audit.key` names.',
  ),
  'model-pinned': reject(
    'The active version of the model is pinned, so it cannot be changed.',
    'Remove the pin first: `andon models unpin NAME`.',
  ),
  'model-too-slow': reject(
    'The model does not keep its deadline on this machine, so its runs would be killed.',
    'Use a smaller model or a faster machine, or raise `models.limits.<name>.deadline`.',
  ),
  'models-busy': retry(
    'Another operation on the model directory is running, or the agent stopped during this one.',
    'Try again.',
  ),
  'model-directory-unusable': retry(
    'The model directory cannot be written: full disk, missing access rights, read-only file system.',
    'The message names the file. On a machine with the service, run the command as the user of the service.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const registryFailure = failures(registryErrors);
