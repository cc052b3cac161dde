import type { FastifyRequest } from 'fastify';
import { bearerToken, sameSecret } from './access.ts';
import { v2Failure } from './v2-errors.ts';

/**
 * Lets in whoever has the admin token; as `onRequest`, before anything of the body is read.
 *
 * @param adminToken Undefined where nobody may see or change the models over HTTP.
 */
export function adminCheck(adminToken: string | undefined): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    if (adminToken === undefined)
      throw v2Failure('repository-off', 'The model repository is closed: http.adminToken is not configured');
    if (!sameSecret(bearerToken(request), adminToken))
      throw v2Failure('admin-token-needed', 'The admin token is needed: Authorization: Bearer <http.adminToken>');
  };
}
