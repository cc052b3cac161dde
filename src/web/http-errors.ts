import type { Disposition, ErrorCatalogue } from '../platform/errors.ts';
import { OperatingError } from '../platform/errors.ts';

/** Errors of every HTTP endpoint. */
export const httpErrors = {
  'http-listen-failed': {
    disposition: 'retry',
    meaning: 'An HTTP endpoint could not listen on its address. Everything else continues, and it retries.',
    remedy: 'Find the program that uses the address, or change `http.listen` or `serving.listen`.',
  },
  'repository-off': {
    disposition: 'reject',
    meaning: 'Models can be managed over HTTP only if `http.adminToken` is configured.',
    remedy: 'Set `http.adminToken`, or use `andon models` on the box.',
  },
  'admin-token-needed': {
    disposition: 'reject',
    meaning: 'A request to manage models came without the admin token, or with a wrong one.',
    remedy: 'Send `Authorization: Bearer <http.adminToken>`.',
  },
} as const satisfies ErrorCatalogue;

export function httpFailure(code: keyof typeof httpErrors, message: string, options?: ErrorOptions): OperatingError {
  const disposition: Disposition = httpErrors[code].disposition;
  return new OperatingError(code, disposition, message, options);
}
