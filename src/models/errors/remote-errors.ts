import { OperatingError, reject, retry } from '../../platform/errors.ts';
import type { Disposition, ErrorCatalogue } from '../../platform/errors.ts';

/** Errors of models that run on a server. */
export const remoteErrors = {
  'remote-unreachable': retry(
    'The server of a remote model could not be reached, or the connection broke off before its answer was whole.',
    'The message has the reason (refused, reset, name not found, certificate). It is tried again by itself.',
  ),
  'remote-busy': retry(
    'The server of a remote model asked to come again (429, 502, 503, 504), longer than the deadline of the run allowed.',
    'Give the server more capacity, lengthen the hop of the watches, or raise the deadline of the model.',
  ),
  'remote-not-ready': retry(
    'The server of a remote model says that the model is not ready there.',
    'See the log of the server; `remote.model` and `remote.version` in model.yaml must name what it has loaded.',
  ),
  'remote-refused': retry(
    'The server of a remote model answered with a status that is no result: it failed, redirected, or does not admit the agent.',
    'The message has the status and the words of the server. For 401 and 403 see `remote.token`.',
  ),
  'remote-request-refused': reject(
    'The server of a remote model refused these very inputs (400, 413, 422).',
    'The message has the words of the server; other windows go on.',
  ),
  'remote-answer-invalid': retry(
    'The server of a remote model gave what is no answer to the request: not the protocol, another id, model, name, type, shape or length. Nothing of it was used.',
    'The message names the place. Where it goes on, the server or a proxy before it is broken.',
  ),
  'remote-version-changed': retry(
    'The server of a remote model answered with another version than the one that was proved. The answer was not used; the new version is being proved.',
    'None, where the new version keeps the golden vectors. Name `remote.version` to hold one fast.',
  ),
  'remote-circuit-open': retry(
    'The server of a remote model failed several times in a row, or is not proved yet, and is left alone for now.',
    'It is tried again by itself, with growing pauses; the health of model/<name> has the reason.',
  ),
  'remote-server-not-allowed': reject(
    'model.yaml names a server that `models.remoteServers` does not list; or an installed package would send a secret of this box to a server that nobody here allowed.',
    'Add the origin of the server to `models.remoteServers`, once you know that it may have your data.',
  ),
  'remote-fallback-unfit': reject(
    'The fallback of a remote model is not there, is remote itself, or judges other windows.',
    'Name a local version with the same tags and steps in `remote.fallback`.',
  ),
} as const satisfies ErrorCatalogue;

export type RemoteErrorCode = keyof typeof remoteErrors;

export function remoteFailure(code: RemoteErrorCode, message: string, options?: ErrorOptions): OperatingError {
  const disposition: Disposition = remoteErrors[code].disposition;
  return new OperatingError(code, disposition, message, options);
}
