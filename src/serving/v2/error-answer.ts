import type { FastifyReply } from 'fastify';
import { errorMessage } from '../../platform/errors.ts';
import { httpStatus } from '../../web/http-errors.ts';

/** HTTP status by error code, if it is not 503 for errors that pass and 400 for the others. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'model-unknown': 404,
  'model-version-unknown': 404,
  'infer-request-too-large': 413,
  'model-in-use': 409,
  // The request was valid; the output of the model was not.
  'model-output-invalid': 500,
};

/** Seconds after which a client should retry; a host is replaced in a tenth of that. */
const RETRY_AFTER_S = 1;

/** Sends the protocol's error object: 4xx if the client must change the request, 503 if it may retry. */
export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const status = httpStatus(error, STATUS_OF_CODE);
  if (status === 503) reply.header('retry-after', String(RETRY_AFTER_S));
  return reply
    .code(status)
    .type('application/json')
    .send({ error: errorMessage(error) });
}
