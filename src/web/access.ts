import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpFailure } from './http-errors.ts';

export type AccessOptions = {
  /** Required of every request except those to open paths; undefined on a loopback endpoint without a token. */
  readonly token: string | undefined;
  /** Grants everything that the token grants, and the management of models. */
  readonly adminToken: string | undefined;
  readonly loopback: boolean;
  /** Paths that need no token: health, for supervisors and load balancers, and pages without data. */
  readonly openPaths: ReadonlySet<string>;
};

const LOOPBACK_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i;

/**
 * Returns an `onRequest` hook that refuses requests without the token, if there is one. For browsers it also refuses a Host
 * header that is not this machine (DNS rebinding) and a foreign Origin (a page that posts to the loopback address).
 */
export function accessCheck(options: AccessOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const { host, origin } = request.headers;
    if (options.loopback && options.token === undefined && !LOOPBACK_HOST.test(host ?? ''))
      return reply.code(403).send({ error: `Host '${host ?? ''}' is not this machine's loopback address` });
    if (origin !== undefined && originHost(origin) !== host)
      return reply.code(403).send({ error: `Requests from pages of ${origin} are refused` });
    if (options.token === undefined || options.openPaths.has(request.url.split('?')[0] ?? '')) return undefined;
    const given = bearerToken(request);
    if (sameSecret(given, options.token)) return undefined;
    if (options.adminToken !== undefined && sameSecret(given, options.adminToken)) return undefined;
    return reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send({ error: 'A bearer token is required: Authorization: Bearer <token>' });
  };
}

function bearerToken(request: FastifyRequest): string {
  return /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
}

/** Compares digests, so that the time that it takes reveals neither length nor content. */
function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

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
