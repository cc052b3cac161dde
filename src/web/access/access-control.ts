import { timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readSecret, type SecretReference } from '../../platform/config-fields.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, OperatingError } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { type AccessConfig, anonymousRole } from './access-config.ts';
import { accessFailure, accessStatuses } from './access-errors.ts';
import { accessMetrics } from './access-metrics.ts';
import type { Caller } from './caller.ts';
import { PasswordCheck } from './password.ts';
import type { OperatorAudit } from './operator-audit.ts';
import { mayDo, type Permission, permissions, type Role } from './roles.ts';
import { Sessions } from './sessions.ts';
import { accountChanges, noUsers, tokenDigest, type Users, USERS_LOOK_INTERVAL_MS, UsersFile } from './users-file.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request to this route may do; `open` for everyone. Every route that is not a GET must have it. */
    readonly permission?: Permission | 'open';
  }
}

export type AccessOptions = {
  readonly config: AccessConfig;
  /** Names of this endpoint in lower case, with that of `listen`; undefined accepts any. */
  readonly hosts: readonly string[] | undefined;
  /** True if only this machine reaches the endpoint. */
  readonly loopback: boolean;
  /** Token in a file that only the agent's Unix user may read, for commands on the box; undefined if there is none. */
  readonly localToken: string | undefined;
  /** True if every client needs a certificate of `tls.clientCa`; commands on the box do not. */
  readonly clientCertificates: boolean;
  readonly audit?: OperatorAudit;
  /** Name of the component that owns the endpoint; its users file reports as `<component>/users`. */
  readonly component: string;
  readonly deps: Deps;
};

/** Origin of a call that is not HTTP/1, which browsers cannot send. */
export type CallOrigin = {
  /** Value of `authorization`. */
  readonly authorization: string | undefined;
  /** Names of all headers, in lower case. */
  readonly headers: readonly string[];
  /** IP address of the peer. */
  readonly address: string;
};

const LOOPBACK_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i;
const LOOPBACK_ADDRESS = /^(127\.|::1$|::ffff:127\.)/;
/** Headers of reverse proxies. A proxy on the box makes every client look like a local one. */
const PROXY_HEADER = /^(forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|.*-connecting-ip)$/;
/** Header in which a command on the box names the Unix user. It is believed only with the local token. */
export const LOCAL_USER_HEADER = 'x-andon-user';
/** Header of requests that an open page sends automatically. They do not keep a session. */
const BACKGROUND_HEADER = 'x-andon-background';
const COOKIE = 'andon-session';
const SECRETS_READ_INTERVAL_MS = 1_000;

/**
 * Returns the name of the cookie with the id of the session. Over TLS, browsers accept the prefix from this host alone and
 * with `Secure` only, so that neither another host of the domain nor clear text can plant one.
 */
export function sessionCookie(request: FastifyRequest): string {
  return isOverTls(request) ? `__Host-${COOKIE}` : COOKIE;
}

/** Returns true if the client uses TLS, here or to a reverse proxy. A client that forges the header harms itself alone. */
export function isOverTls({ raw, headers }: FastifyRequest): boolean {
  return raw.socket instanceof TLSSocket || headers['x-forwarded-proto'] === 'https';
}

/** Decides who sends a request and what it may do. */
export class AccessControl {
  readonly #options: AccessOptions;
  readonly #localDigest: string | undefined;
  readonly #passwords = new PasswordCheck();
  readonly #sessions: Sessions;
  readonly #usersFile: UsersFile | undefined;
  readonly #usersHealth: ComponentHealth | undefined;
  #knownUsers: Users = noUsers;
  #timer: Timer | undefined;
  readonly #metrics;
  /** Digests of `token` and `adminToken`, and when they were read. */
  #secrets: ReadonlyMap<string, Role> = new Map();
  #secretsReadMs = Number.NEGATIVE_INFINITY;

  constructor(options: AccessOptions) {
    const { config, deps, component } = options;
    this.#options = options;
    this.#localDigest = options.localToken === undefined ? undefined : tokenDigest(options.localToken);
    this.#metrics = deps.metrics.of(accessMetrics);
    this.#sessions = new Sessions(config, deps.clock);
    if (config.users !== undefined) {
      const health = deps.health.component(`${component}/users`);
      const report = (problem: string | undefined) =>
        problem === undefined
          ? health.report('ok')
          : health.report(
              'degraded',
              `users-file-invalid: ${problem}. The last valid users and tokens stay in force`,
              'users-file-invalid',
            );
      this.#usersHealth = health;
      this.#usersFile = new UsersFile(config.users, deps.clock, report);
      this.#knownUsers = this.#usersFile.current();
      this.#recordChanges();
    }
  }

  /** `onRequest` hook: sets `request.caller`, and refuses a request that may not do what its route does. */
  readonly check = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    try {
      this.#admit(request);
      return undefined;
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#metrics.andon_http_denied_total.inc({ code: error.code });
      const status = accessStatuses[error.code] ?? 403;
      if (status === 401) reply.header('www-authenticate', 'Bearer');
      // A body that was refused is not read.
      if (!request.raw.complete) reply.header('connection', 'close');
      return reply.code(status).send({ error: error.message });
    }
  };

  /**
   * Checks a call of another protocol.
   *
   * @returns The caller; undefined on an open method without a valid login.
   * @throws {OperatingError} 'login-needed' | 'role-needed'
   */
  admitCall(origin: CallOrigin, permission: Permission | 'open'): Caller | undefined {
    try {
      const token = bearerToken(origin.authorization);
      if (token === undefined) {
        const anonymous = this.#anonymousCaller(origin.headers, origin.address, origin.address);
        checkRole(anonymous, permission);
        return anonymous;
      }
      const caller = this.#tokenCaller(token, origin.address, 'cli');
      if (caller === undefined && permission !== 'open') throw unknownToken();
      checkRole(caller, permission);
      return caller;
    } catch (error) {
      this.#metrics.andon_http_denied_total.inc({ code: errorCode(error) });
      throw error;
    }
  }

  /**
   * Checks a password and opens a session.
   *
   * @returns Id of the session; undefined if the user does not exist or the password is wrong.
   */
  async logIn(
    user: string,
    password: string,
    address: string,
  ): Promise<{ readonly id: string; readonly role: Role } | undefined> {
    const known = ownValue(this.#users.users, user);
    const matches = await this.#passwords.matches(password, known?.password);
    if (!matches || known === undefined) return undefined;
    const id = this.#sessions.open(user, known.password, address);
    this.#countSessions();
    return { id, role: known.role };
  }

  logOut(sessionId: string): void {
    this.#sessions.close(sessionId);
    this.#countSessions();
  }

  /** Ends all sessions of a user. Returns how many there were. */
  endSessions(user: string): number {
    const count = this.#sessions.closeOf(user);
    this.#countSessions();
    return count;
  }

  /** Returns users, tokens and sessions, without secrets and their hashes. */
  accounts() {
    const { users, tokens } = this.#users;
    const sessions = this.#sessions.list();
    return {
      users: Object.entries(users).map(([name, { role }]) => ({ name, role })),
      tokens: Object.entries(tokens).map(([name, { role, expires }]) => ({ name, role, expires: expires ?? null })),
      sessions: sessions.map(({ user, address, idleMs }) => ({ user, address, idle_ms: Math.round(idleMs) })),
    };
  }

  /** True if a configured login may manage models, so that the model server announces that it can. */
  get hasEngineer(): boolean {
    const { users, tokens } = this.#users;
    const configured = [...Object.values(users), ...Object.values(tokens)].map(({ role }) => role);
    return [...configured, ...this.#secretRoles().values()].some((role) => mayDo(role, 'models'));
  }

  dispose(): void {
    this.#timer?.cancel();
    this.#usersHealth?.remove();
  }

  /** Without requests, too, so that a user who is added and removed again is recorded. */
  #recordChanges(): void {
    void this.#users;
    const { clock } = this.#options.deps;
    this.#timer = clock.setTimer(() => this.#recordChanges(), USERS_LOOK_INTERVAL_MS, { background: true });
  }

  get #users(): Users {
    if (this.#usersFile === undefined) return noUsers;
    const users = this.#usersFile.current();
    if (users !== this.#knownUsers) {
      const { by, changes } = accountChanges(this.#knownUsers, users);
      this.#knownUsers = users;
      void this.#options.audit?.record(by, 'accounts', this.#usersFile.path, { changes });
    }
    return users;
  }

  #countSessions(): void {
    this.#metrics.andon_http_sessions.set(this.#sessions.list().length);
  }

  /** @throws {OperatingError} Code of `accessErrors`, if the request may not do what its route does. */
  #admit(request: FastifyRequest): void {
    this.#refuseHost(request);
    this.#refuseForeign(request);
    const permission = request.is404 ? 'view' : (request.routeOptions.config.permission ?? 'view');
    const caller = this.#caller(request, permission === 'open');
    request.caller = caller;
    request.isStillAdmitted = () => {
      // An answer that stays open does not keep its session: only requests do.
      const present = this.#caller(request, true, 'look');
      return permission === 'open' || (present !== undefined && mayDo(present.role, permission));
    };
    if (this.#options.clientCertificates && caller?.kind !== 'local' && !hasCertificate(request))
      throw accessFailure('certificate-needed', 'A client certificate of the authority in tls.clientCa is needed');
    checkRole(caller, permission);
  }

  /**
   * Refuses a host name that `http.hosts` does not list: a page of another site may have given its name this machine's
   * address (DNS rebinding), and could try passwords. An address in place of a name, and localhost, cannot be such a page.
   */
  #refuseHost({ headers: { host = '' } }: FastifyRequest): void {
    const { hosts } = this.#options;
    if (hosts === undefined || isListed(host, hosts)) return;
    throw accessFailure(
      'request-foreign',
      `Host '${host}' is not in http.hosts. Use a name of that list, or an IP address`,
    );
  }

  /** Refuses requests that a browser sends for a page of another site. */
  #refuseForeign({ headers, method, routeOptions, is404 }: FastifyRequest): void {
    const { host, origin } = headers;
    if (origin !== undefined && originHost(origin) !== host)
      throw accessFailure('request-foreign', `Requests from pages of ${origin} are refused`);
    const site = headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none') return;
    // A link on another site may open the page. It gets no data by that.
    const opensPage = headers['sec-fetch-mode'] === 'navigate' && method === 'GET';
    if (opensPage && !is404 && routeOptions.config.permission === 'open') return;
    throw accessFailure('request-foreign', 'Requests from pages of another site are refused (Sec-Fetch-Site)');
  }

  #caller(request: FastifyRequest, isOpen: boolean, access: 'use' | 'look' = 'use'): Caller | undefined {
    const { headers, ip, raw } = request;
    const bearer = bearerToken(headers.authorization);
    if (bearer !== undefined) {
      const caller = this.#tokenCaller(bearer, ip, localUser(request));
      // A wrong token is an error, not an anonymous request: the client would see less than it expects.
      if (caller === undefined && !isOpen) throw unknownToken();
      return caller;
    }
    const use = headers[BACKGROUND_HEADER] === undefined ? access : 'look';
    const session = this.#sessionCaller(request, use);
    if (session !== undefined) return session;
    const anonymous = this.#anonymousCaller(Object.keys(headers), raw.socket.remoteAddress ?? '', ip);
    // The page of another site may have a name that resolves to this machine (DNS rebinding). With `http.hosts`, it was refused.
    if (anonymous !== undefined && this.#options.hosts === undefined && !LOOPBACK_HOST.test(headers.host ?? ''))
      throw accessFailure('request-foreign', `Host '${headers.host ?? ''}' is not this machine's loopback address`);
    return anonymous;
  }

  #tokenCaller(token: string, address: string, unixUser: string): Caller | undefined {
    const { deps } = this.#options;
    const digest = tokenDigest(token);
    if (this.#localDigest !== undefined && sameDigest(digest, this.#localDigest))
      return { kind: 'local', name: unixUser, role: 'admin', address };
    for (const [expected, role] of this.#secretRoles())
      if (sameDigest(digest, expected))
        return { kind: 'token', name: role === 'admin' ? 'http.adminToken' : 'http.token', role, address };
    for (const [name, { role, sha256, expires }] of Object.entries(this.#users.tokens)) {
      if (!sameDigest(digest, sha256)) continue;
      const hasExpired = expires !== undefined && Date.parse(expires) <= deps.clock.nowMs();
      return hasExpired ? undefined : { kind: 'token', name, role, address };
    }
    return undefined;
  }

  #sessionCaller(request: FastifyRequest, access: 'use' | 'look'): Caller | undefined {
    const id = request.cookies[sessionCookie(request)];
    const session = id === undefined ? undefined : this.#sessions[access](id);
    if (session === undefined) return undefined;
    const user = ownValue(this.#users.users, session.user);
    // The user was removed, or has a new password.
    if (user === undefined || user.password !== session.password) {
      this.endSessions(session.user);
      return undefined;
    }
    return { kind: 'user', name: session.user, role: user.role, address: request.ip };
  }

  #anonymousCaller(headers: readonly string[], peer: string, address: string): Caller | undefined {
    const role = anonymousRole(this.#options.config);
    if (role === undefined || !this.#options.loopback) return undefined;
    if (headers.some((name) => PROXY_HEADER.test(name))) return undefined;
    if (!LOOPBACK_ADDRESS.test(peer)) return undefined;
    return { kind: 'anonymous', name: 'anonymous', role, address };
  }

  /** Roles of `token` and `adminToken` by digest. The files are read again, so that a rotated secret applies. */
  #secretRoles(): ReadonlyMap<string, Role> {
    const { config, deps } = this.#options;
    const nowMs = deps.clock.monotonicMs();
    if (nowMs - this.#secretsReadMs < SECRETS_READ_INTERVAL_MS) return this.#secrets;
    this.#secretsReadMs = nowMs;
    this.#secrets = new Map([...digestOf(config.token, 'operator'), ...digestOf(config.adminToken, 'admin')] as const);
    return this.#secrets;
  }
}

/** @throws {OperatingError} 'login-needed' | 'role-needed' if the caller may not do this. */
function checkRole(caller: Caller | undefined, permission: Permission | 'open'): void {
  if (permission === 'open') return;
  if (caller !== undefined && mayDo(caller.role, permission)) return;
  const needed = permissions[permission];
  if (caller === undefined || caller.kind === 'anonymous')
    throw accessFailure('login-needed', `This needs a login with the role ${needed}: log in, or send a token`);
  throw accessFailure('role-needed', `This needs the role ${needed}. ${caller.name} has the role ${caller.role}`);
}

function unknownToken(): OperatingError {
  return accessFailure('login-needed', 'The token is unknown or has expired');
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
}

/** A secret that cannot be read opens nothing. */
function digestOf(secret: SecretReference | undefined, role: Role): readonly (readonly [string, Role])[] {
  if (secret === undefined) return [];
  try {
    return [[tokenDigest(readSecret(secret)), role]];
  } catch {
    return [];
  }
}

function hasCertificate({ raw: { socket } }: FastifyRequest): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

function localUser({ headers }: FastifyRequest): string {
  const name = headers[LOCAL_USER_HEADER];
  // Never the name of a user of the page.
  return typeof name === 'string' && name.startsWith('cli:') ? name.slice(0, 100) : 'cli';
}

function sameDigest(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function ownValue<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Returns true if a `Host` header is an IP address, localhost, or one of the names. */
function isListed(host: string, names: readonly string[]): boolean {
  const name = host.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase();
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || name === 'localhost' || names.includes(name);
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
