import { OperatingError, reject, retry } from '../../platform/errors.ts';
import type { ErrorCatalogue } from '../../platform/errors.ts';

/** Errors of the acts on the model directory: install, activate, rollback, pin, remove. */
export const registryErrors = {
  'model-package-invalid': reject(
    'What was to be installed is no package of a model: model.onnx, model.yaml, perhaps model.sig and documents.',
    'The message names the file or entry at fault; docs/models.md says what a package is.',
  ),
  'model-package-too-large': reject(
    'A package, or a file in it, is larger than it may be, as received or once it is unpacked.',
    'Raise `models.maxModelSize` where a model is really that large.',
  ),
  'model-download-failed': retry(
    'A package did not arrive: its server did not answer, refused, or did not finish in time; or it broke off.',
    'Try the URL on the box; `models.receiveDeadline` is the time that a package may take to arrive.',
  ),
  'model-version-taken': reject(
    'Another package has been installed, or trained, under this name and version.',
    'Write the next free version, which the message names, into its model.yaml.',
  ),
  'model-version-unknown': reject(
    'The model directory has no such model, or no such version of it.',
    'See `andon models list`.',
  ),
  'model-version-not-active': reject('Only the active version can be pinned.', 'Activate it first.'),
  'model-version-in-use': reject(
    'The version cannot be removed: it is active, a rollback would go back to it, a watch names it, or the running agent has it loaded.',
    'Activate another version, or take it out of the watches; `--force` removes the previous one.',
  ),
  'model-watch-incompatible': reject(
    'A watch of the configuration gives the model other columns, or in other units, than the version takes.',
    'Train or export it with the tags of the watch, in their order; the message names the watch and the tags.',
  ),
  'model-pinned': reject(
    'The active version of the model is pinned, so nothing may change it.',
    'Unpin it first: `andon models unpin NAME`.',
  ),
  'model-too-slow': reject(
    'The model does not keep its deadline on this box, so its runs would be killed.',
    'Use a smaller model, give the box more time, or raise `models.limits.<name>.deadline`.',
  ),
  'models-busy': retry(
    'Another act on the model directory is under way, or the agent stopped during this one.',
    'Try again.',
  ),
  'model-directory-unusable': retry(
    'The model directory cannot be written: a full disk, missing rights, a read-only file system.',
    'The message names the file. On a box with the service, run the command as its user.',
  ),
} as const satisfies ErrorCatalogue;

export type RegistryErrorCode = keyof typeof registryErrors;

/** An OperatingError with the disposition that the catalogue gives its code. */
export function registryFailure(code: RegistryErrorCode, message: string, options?: ErrorOptions): OperatingError {
  return new OperatingError(code, registryErrors[code].disposition, message, options);
}
