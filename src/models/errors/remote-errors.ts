import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

/** Errors of models that run on a server. */
export const remoteErrors = {
  'remote-unreachable': retry(
    'The server of a remote model could not be reached, or the connection closed before the response was complete.',
    'The message has the reason (refused, reset, name not found, certificate). The agent retries automatically.',
  ),
  'remote-busy': retry(
    'The server of a remote model asked for a retry (429, 502, 503, 504) for longer than the deadline of the run.',
    'Give the server more capacity, lengthen the hop of the watches, or raise the deadline of the model.',
  ),
  'remote-not-ready': retry(
    'The server of a remote model reports that the model is not ready.',
    'See the log of the server. `remote.model` and `remote.version` in model.yaml must name a loaded model.',
  ),
  'remote-refused': retry(
    'The server of a remote model answered with an error status or a redirect, or refused access.',
    'The message has the status and the text of the server. For 401 and 403 check `remote.token`.',
  ),
  'remote-request-refused': reject(
    'The server of a remote model refused the inputs of this run (400, 413, 422).',
    'The message has the text of the server. Other windows are not affected.',
  ),
  'remote-answer-invalid': retry(
    'The response of the server of a remote model does not match the request: protocol, id, model, name, type, shape or length. It was not used.',
    'The message names the field. If it happens repeatedly, the server or a proxy in front of it is faulty.',
  ),
  'remote-version-changed': retry(
    'The server of a remote model answered with another version than the proved one. The response was not used, and the new version is being proved.',
    'Nothing, if the new version gives the outputs of the golden vectors. Set `remote.version` to stay at one version.',
  ),
  'remote-circuit-open': retry(
    'The server of a remote model failed several times in a row or is not proved yet, so no requests are sent to it now.',
    'The agent retries automatically, with growing pauses. The health of model/<name> has the reason.',
  ),
  'remote-server-not-allowed': reject(
    'model.yaml names a server that is not in `models.remoteServers`; or an installed package would send a secret of this machine to a server that the configuration does not allow.',
    'Add the origin of the server to `models.remoteServers` if it may receive your data.',
  ),
  'remote-fallback-unfit': reject(
    'The fallback of a remote model does not exist, is remote too, or judges other windows.',
    'Set `remote.fallback` to a local version with the same tags and steps.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const remoteFailure = failures(remoteErrors);
