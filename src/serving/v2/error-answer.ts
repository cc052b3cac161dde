import type { FastifyReply } from 'fastify';
import { errorMessage, OperatingError } from '../../platform/errors.ts';

/** Where the status does not follow from whether trying again helps. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'model-unknown': 404,
  'model-version-unknown': 404,
  'infer-request-too-large': 413,
  'repository-off': 403,
  'admin-token-needed': 401,
  'model-in-use': 409,
  // The request was right; the model gave what it must not.
  'model-output-invalid': 500,
};

/** Seconds until a client should try again: a host is back in a tenth of that. */
const RETRY_AFTER_S = 1;

/** Answers with the protocol's error object: 4xx for what the client must change, 503 for what passes by itself. */
export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const status = statusOf(error);
  if (status === 503) reply.header('retry-after', String(RETRY_AFTER_S));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply
    .code(status)
    .type('application/json')
    .send({ error: errorMessage(error) });
}

function statusOf(error: unknown): number {
  if (error instanceof OperatingError) return STATUS_OF_CODE[error.code] ?? (error.disposition === 'retry' ? 503 : 400);
  // Fastify's own: a body past the limit, a request that broke off.
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') return error.statusCode;
  return 500;
}
