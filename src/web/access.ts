import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

export type AccessOptions = {
  /** Asked of every request but health; undefined on a loopback-only endpoint without one. */
  readonly token: string | undefined;
  /** Good for everything that the token is, and for the model repository. */
  readonly adminToken: string | undefined;
  /** True where `http.listen` is a loopback address. */
  readonly loopback: boolean;
};

/** Paths without data, served without a token: health, for supervisors and load balancers, and the dashboard's page. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready', '/']);

const LOOPBACK_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i;

/**
 * Keeps strangers out: the bearer token where one is configured; and, for browsers, a Host header that is really
 * this machine (DNS rebinding) and no Origin but our own (a foreign page that posts to the loopback address).
 */
export function accessCheck(options: AccessOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const { host, origin } = request.headers;
    if (options.loopback && options.token === undefined && !LOOPBACK_HOST.test(host ?? ''))
      return reply.code(403).send({ error: `Host '${host ?? ''}' is not this machine's loopback address` });
    if (origin !== undefined && originHost(origin) !== host)
      return reply.code(403).send({ error: `Requests from pages of ${origin} are refused` });
    if (options.token === undefined || isOpen(request.url.split('?')[0] ?? '')) return undefined;
    const given = bearerToken(request);
    if (sameSecret(given, options.token)) return undefined;
    if (options.adminToken !== undefined && sameSecret(given, options.adminToken)) return undefined;
    return reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send({ error: 'A bearer token is needed: Authorization: Bearer <http.token>' });
  };
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.has(path) || path.startsWith('/dashboard/');
}

export function bearerToken(request: FastifyRequest): string {
  return /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
}

/** Compares digests, so that neither length nor content shows in the time it takes. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
