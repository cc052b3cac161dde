import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import { stringify } from 'yaml';
import { httpConfigSchema } from '../../src/http/http-config.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { actorWithAddress } from '../../src/web/access/caller.ts';
import { OperatorAudit } from '../../src/web/access/operator-audit.ts';
import { registerLogin } from '../../src/web/access/login-routes.ts';
import { hashPassword } from '../../src/web/access/password.ts';
import { type Permission, permissions, type Role, roles } from '../../src/web/access/roles.ts';
import { tokenDigest, type Users } from '../../src/web/access/users-file.ts';
import { HttpServer } from '../../src/web/http-server.ts';
import { testDeps } from '../support/test-deps.ts';

export const LOCAL_TOKEN = 'local-token-of-the-test';
export const PASSWORD = 'correct horse battery';

/** An endpoint with one route for each permission, and a file of users. */
export class AccessServer implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'andon-access-'));
  readonly usersFile = join(this.directory, 'users.yaml');
  readonly deps: Deps;
  readonly audit: OperatorAudit;
  /** Ends of answers that wait. */
  readonly waiting: (() => void)[] = [];
  #server: HttpServer | undefined;
  #writes = 0;

  constructor(deps = testDeps()) {
    this.deps = deps;
    this.audit = new OperatorAudit(join(this.directory, 'outbox.db'), { after: [] }, deps);
  }

  /** @param settings Section `http`; `users: true` stands for the file of the test. */
  async start(settings: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const users = settings['users'] === true ? { users: this.usersFile } : {};
    const config = httpConfigSchema.parse({ listen: '127.0.0.1:0', ...settings, ...users });
    const { audit, deps } = this;
    this.#server = new HttpServer({
      component: 'http',
      config,
      title: 'test',
      version: '0.0.0',
      descriptionPath: '/openapi.json',
      bodyBytesMax: 65_536,
      localToken: LOCAL_TOKEN,
      audit,
      statusOfCode: {},
      routes: async (app, access) => {
        await registerLogin(app, { access, config, audit, deps });
        for (const permission of Object.keys(permissions) as Permission[])
          app.post(`/${permission}`, { config: { permission } }, ({ caller }) => ({ actor: actorWithAddress(caller) }));
        app.get('/open', { config: { permission: 'open' } }, ({ caller }) => ({ caller: caller?.name ?? null }));
        app.get('/view', () => ({}));
        // As the event stream does.
        app.get('/stream', (request, reply) => {
          const stream = reply.hijack().raw;
          stream.writeHead(200);
          const beat = (): void => {
            if (!request.isStillAdmitted()) return void stream.destroy();
            stream.write('.');
            deps.clock.setTimer(beat, 30_000);
          };
          stream.write('.');
          deps.clock.setTimer(beat, 30_000);
        });
        const released = ({ url }: FastifyRequest) =>
          url.endsWith('later') ? new Promise<void>((resolve) => this.waiting.push(resolve)) : Promise.resolve();
        app.get('/admitted', (request) => released(request).then(() => ({ admitted: request.isStillAdmitted() })));
      },
      deps,
    });
    await this.#server.start();
    return this.#server.url ?? '';
  }

  /** Writes the file of users: the roles as users and tokens of the same names, and more. */
  async writeUsers(more: Partial<Users> = {}): Promise<void> {
    const password = await hashPassword(PASSWORD);
    const users = Object.fromEntries(roles.map((role) => [role, { role, password }]));
    const tokens = Object.fromEntries(roles.map((role) => [role, { role, sha256: tokenDigest(tokenOf(role)) }]));
    this.writeFile(stringify({ users: { ...users, ...more.users }, tokens: { ...tokens, ...more.tokens } }));
  }

  writeFile(text: string): void {
    writeFileSync(this.usersFile, text, { mode: 0o600 });
    // Two writes within the resolution of the file system's time are a change, too.
    this.#writes += 1;
    const { mtimeMs } = statSync(this.usersFile);
    utimesSync(this.usersFile, mtimeMs / 1000, mtimeMs / 1000 + this.#writes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    await this.audit[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function tokenOf(role: Role): string {
  return `token of ${role}`;
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** Logs in. @returns The answer, and the cookie of the session. */
export async function logIn(
  url: string,
  user: string,
  password = PASSWORD,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly answer: Response; readonly cookie: string }> {
  const answer = await fetch(`${url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ user, password }),
  });
  return { answer, cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
}
