import * as z from 'zod';
import { type ErrorCatalogue, retry } from '../platform/errors.ts';

/** Errors of every HTTP endpoint. */
export const httpErrors = {
  'http-listen-failed': retry(
    'An HTTP endpoint could not listen on its address. Everything else continues, and it retries.',
    'Find the program that uses the address, or change `http.listen` or `serving.listen`.',
  ),
} as const satisfies ErrorCatalogue;

/** Body of every error answer. */
export const errorJson = z.object({ error: z.string() });
