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
      throw httpFailure(
        'repository-off',
        'Models cannot be managed over HTTP without an admin token. Set http.adminToken (or serving.adminToken for the model server)',
      );
    if (!sameSecret(bearerToken(request), adminToken))
      throw httpFailure('admin-token-needed', 'The admin token is required: Authorization: Bearer <http.adminToken>');
  };
}
