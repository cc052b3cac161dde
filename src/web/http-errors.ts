import * as z from 'zod';
import { type ErrorCatalogue, OperatingError, retry } from '../platform/errors.ts';

/** Errors of every HTTP endpoint. */
export const httpErrors = {
  'http-listen-failed': retry(
    'An HTTP endpoint could not listen on its address. Everything else continues, and it retries.',
    'Find the program that uses the address, or change `http.listen` or `serving.listen`.',
  ),
} as const satisfies ErrorCatalogue;

/**
 * Returns the HTTP status of an error.
 *
 * @param codes Status by error code, if it is not 503 for errors that pass and 400 for the others.
 */
export function httpStatus(error: unknown, codes: Readonly<Record<string, number>>): number {
  if (error instanceof OperatingError) return codes[error.code] ?? (error.disposition === 'retry' ? 503 : 400);
  // Fastify's own errors: a body above the limit, an aborted request.
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : 500;
}

/** Body of every error answer. */
export const errorJson = z.object({ error: z.string() });
