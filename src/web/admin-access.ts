import type { FastifyRequest } from 'fastify';
import { bearerToken, sameSecret } from './access.ts';
import { httpFailure } from './http-errors.ts';

/**
 * Returns an `onRequest` hook that admits only requests with the admin token, before the body is read.
 *
 * @param adminToken Undefined if models cannot be managed over HTTP.
 */
export function adminCheck(adminToken: string | undefined): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    if (adminToken === undefined)
      throw httpFailure('repository-off', 'Models cannot be managed over HTTP: http.adminToken is not configured');
    if (!sameSecret(bearerToken(request), adminToken))
      throw httpFailure('admin-token-needed', 'The admin token is required: Authorization: Bearer <http.adminToken>');
  };
}
