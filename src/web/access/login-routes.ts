import cookie, { type CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { Deps } from '../../platform/deps.ts';
import type { AccessConfig } from './access-config.ts';
import { type AccessControl, isOverTls, sessionCookie } from './access-control.ts';
import { accessFailure } from './access-errors.ts';
import { accessMetrics } from './access-metrics.ts';
import { LoginThrottle } from './login-throttle.ts';
import type { OperatorAudit } from './operator-audit.ts';
import { mayDo, type Permission, permissions, roles } from './roles.ts';

const PASSWORD_LENGTH_MAX = 1_000;
const loginBody = z.strictObject({
  user: z
    .string()
    .min(1)
    .max(100)
    .transform((name) => name.normalize('NFC')),
  password: z.string().min(1).max(PASSWORD_LENGTH_MAX),
});
const errorJson = z.object({ error: z.string() });
const sessionJson = z.object({
  user: z.string().nullable().describe('Name of the user or token; null without a login'),
  role: z.enum(roles).nullable(),
  permissions: z.array(z.string()).describe('What this login may do'),
  login: z.boolean().describe('True if users can log in'),
});

/** Reads the cookies of every request, for `AccessControl`. */
export async function readCookies(app: FastifyInstance): Promise<void> {
  app.decorateRequest('caller', undefined);
  app.decorateRequest('isStillAdmitted');
  await app.register(cookie);
}

export type LoginOptions = {
  readonly access: AccessControl;
  readonly config: AccessConfig;
  readonly audit: OperatorAudit;
  readonly deps: Deps;
};

/** `POST /api/v1/login`, `POST /api/v1/logout`, `GET /api/v1/session`, and the accounts for administrators. */
export async function registerLogin(instance: FastifyInstance, options: LoginOptions): Promise<void> {
  const { access, config, audit, deps } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const logins = deps.metrics.of(accessMetrics).andon_http_logins_total;
  const throttle = new LoginThrottle(deps.clock);

  app.post(
    '/api/v1/login',
    {
      config: { permission: 'open' },
      schema: {
        summary: 'Log in with user and password',
        body: loginBody,
        response: { 200: sessionJson, 401: errorJson, 429: errorJson },
      },
    },
    async (request, reply) => {
      const { user, password } = request.body;
      const from = { user, address: request.ip };
      const waitS = throttle.begin(user, request.ip);
      if (waitS > 0) {
        logins.inc({ outcome: 'throttled' });
        deps.log.warn(from, 'Login refused: too many logins.');
        reply.header('retry-after', String(waitS));
        throw accessFailure(
          'login-throttled',
          `Too many failed logins of this user or from this address. Try again in ${waitS} s`,
        );
      }
      const session = await access.logIn(user, password, request.ip);
      if (session === undefined) {
        logins.inc({ outcome: 'failed' });
        deps.log.warn(from, 'Login failed.');
        throw accessFailure('login-failed', 'The user does not exist, or the password is wrong');
      }
      throttle.succeed(user, request.ip);
      logins.inc({ outcome: 'ok' });
      deps.log.info({ ...from, role: session.role }, 'Logged in.');
      const caller = { kind: 'user', name: user, role: session.role, address: request.ip } as const;
      await audit.record(caller, 'login', user, { role: session.role });
      const before = request.cookies[sessionCookie(request)];
      if (before !== undefined) access.logOut(before);
      reply.setCookie(sessionCookie(request), session.id, cookieOptions(request));
      return { user, role: session.role, permissions: permissionsOf(session.role), login: true };
    },
  );
  app.post(
    '/api/v1/logout',
    { config: { permission: 'open' }, schema: { summary: 'End the session' } },
    async (request, reply) => {
      const id = request.cookies[sessionCookie(request)];
      if (id !== undefined) access.logOut(id);
      if (request.caller?.kind === 'user') await audit.record(request.caller, 'logout', request.caller.name);
      reply.clearCookie(sessionCookie(request), cookieOptions(request));
      return {};
    },
  );
  registerSession(instance, config);
  registerAccounts(instance, options);
}

/** Over TLS, the cookie is never sent in clear text. */
function cookieOptions(request: FastifyRequest): CookieSerializeOptions {
  return { httpOnly: true, sameSite: 'strict', secure: isOverTls(request), path: '/' };
}

function registerSession(instance: FastifyInstance, config: AccessConfig): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/session',
    {
      config: { permission: 'open' },
      schema: { summary: 'Who is logged in, and what they may do', response: { 200: sessionJson } },
    },
    async ({ caller }) => ({
      user: caller === undefined || caller.kind === 'anonymous' ? null : caller.name,
      role: caller?.role ?? null,
      permissions: caller === undefined ? [] : permissionsOf(caller.role),
      login: config.users !== undefined,
    }),
  );
}

function registerAccounts(instance: FastifyInstance, { access, audit, deps }: LoginOptions): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/accounts',
    { config: { permission: 'administer' }, schema: { summary: 'Users, tokens and sessions, without secrets' } },
    () => access.accounts(),
  );
  app.delete(
    '/api/v1/accounts/:user/sessions',
    {
      config: { permission: 'administer' },
      schema: { summary: 'End the sessions of a user', params: z.object({ user: z.string() }) },
    },
    async ({ params, caller }) => {
      const ended = access.endSessions(params.user);
      await audit.record(caller, 'end-sessions', params.user, { ended });
      deps.log.info({ user: params.user, ended, by: caller?.name }, 'Sessions ended.');
      return { ended };
    },
  );
}

function permissionsOf(role: (typeof roles)[number]): string[] {
  return (Object.keys(permissions) as Permission[]).filter((permission) => mayDo(role, permission));
}
