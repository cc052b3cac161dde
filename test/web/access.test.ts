import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LoginThrottle } from '../../src/web/access/login-throttle.ts';
import { readOperatorLog } from '../../src/web/access/operator-audit.ts';
import { type Permission, permissions, roles } from '../../src/web/access/roles.ts';
import { tokenDigest } from '../../src/web/access/users-file.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { AccessServer, bearer, LOCAL_TOKEN, logIn, PASSWORD, tokenOf } from './access-server.ts';

let server: AccessServer;

beforeEach(() => {
  server = new AccessServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const post = (url: string, headers: Readonly<Record<string, string>> = {}) => fetch(url, { method: 'POST', headers });

describe('the table of permissions in docs/security.md is what the endpoint does', () => {
  const table = permissionTable();

  test('it has every permission and every role', () => {
    expect(table.map(({ permission }) => permission)).toEqual(Object.keys(permissions));
    expect(table.every(({ allowed }) => Object.keys(allowed).join() === roles.join())).toBe(true);
  });

  test('for tokens and for users', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    for (const role of roles) {
      const { cookie } = await logIn(url, role);
      for (const { permission, allowed } of table) {
        const expected = allowed[role] === true ? 200 : 403;
        const shown = { role, permission };
        const withToken = await post(`${url}/${permission}`, bearer(tokenOf(role)));
        expect({ ...shown, status: withToken.status }).toEqual({ ...shown, status: expected });
        const withCookie = await post(`${url}/${permission}`, { cookie });
        expect({ ...shown, status: withCookie.status }).toEqual({ ...shown, status: expected });
      }
    }
  });

  test('none of it without a login', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    for (const permission of Object.keys(permissions)) expect((await post(`${url}/${permission}`)).status).toBe(401);
  });
});

describe('a request without a login', () => {
  test('views on a loopback address if no user can log in, and does nothing else', async () => {
    const url = await server.start();
    expect((await post(`${url}/view`)).status).toBe(200);
    const refused = await post(`${url}/operate`);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('role operator') });
  });

  test('has the role of http.anonymous', async () => {
    const url = await server.start({ anonymous: 'operator' });
    expect((await post(`${url}/operate`)).status).toBe(200);
    expect((await post(`${url}/models`)).status).toBe(401);
  });

  test.each(['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'])(
    'has no role with %s: a proxy sent it',
    async (name) => {
      const url = await server.start({ anonymous: 'operator' });
      expect((await post(`${url}/operate`, { [name]: '10.0.0.5' })).status).toBe(401);
    },
  );

  test('has no role if other machines reach the endpoint', async () => {
    const url = await server.start({ listen: '0.0.0.0:0', insecure: true, anonymous: 'operator' });
    expect((await post(`${url.replace('0.0.0.0', '127.0.0.1')}/view`)).status).toBe(401);
  });

  test('has no role under the name of another machine', async () => {
    const { port } = new URL(await server.start({ anonymous: 'operator' }));
    expect(await statusWith(port, { host: 'evil.example' })).toBe(403);
  });
});

describe('with http.hosts', () => {
  const hosts = ['press-7.plant.example'];

  test.each([
    ['a name of the list', 'press-7.plant.example'],
    ['the same in other case, with a port and a dot', 'PRESS-7.plant.example.:8080'],
    ['an address', '10.0.0.5:8080'],
    ['an address of IPv6', '[fd00::5]:8080'],
    ['localhost', 'localhost'],
  ])('%s is accepted', async (_name, host) => {
    const { port } = new URL(await server.start({ hosts }));
    expect(await statusWith(port, { host }, 'GET', '/view')).toBe(200);
  });

  test.each(['evil.example', 'press-7.plant.example.evil.example', '10.0.0.5.evil.example'])(
    '%j is refused, also for a login',
    async (host) => {
      await server.writeUsers();
      const { port } = new URL(await server.start({ users: true, hosts }));
      expect(await statusWith(port, { host }, 'POST', '/api/v1/login')).toBe(403);
      expect(await statusWith(port, { host, ...bearer(tokenOf('admin')) }, 'GET', '/view')).toBe(403);
    },
  );
});

describe('a request of a page of another site', () => {
  test.each([
    ['a foreign Origin', { origin: 'https://evil.example' }],
    ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }],
  ])('is refused: %s', async (_name, headers) => {
    const { port } = new URL(await server.start({ anonymous: 'operator' }));
    expect(await statusWith(port, headers)).toBe(403);
  });

  test('is refused with the cookie of a user, too', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const { cookie } = await logIn(url, 'operator');
    expect(await statusWith(new URL(url).port, { cookie, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await statusWith(new URL(url).port, { cookie, 'sec-fetch-site': 'same-origin' })).toBe(200);
  });

  test('may open the page by a link', async () => {
    const { port } = new URL(await server.start());
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(await statusWith(port, link, 'GET', '/open')).toBe(200);
    expect(await statusWith(port, link, 'GET', '/view')).toBe(403);
  });
});

describe('a login', () => {
  test('fails alike for a wrong password and for a user who does not exist', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const wrong = await logIn(url, 'operator', 'wrong password');
    const unknown = await logIn(url, 'nobody');
    const special = await logIn(url, '__proto__');
    for (const { answer, cookie } of [wrong, unknown, special]) {
      expect(answer.status).toBe(401);
      expect(cookie).toBe('');
    }
    expect(await wrong.answer.json()).toEqual(await unknown.answer.json());
    expect(await metricValue(server.deps, 'andon_http_logins_total{outcome="failed"}')).toBe(3);
  });

  test('is refused after ten from one address, also with the right password; another user and address are not affected', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true, trustedProxies: ['127.0.0.1'] });
    const from = (address: string) => ({ 'x-forwarded-for': address });
    for (let attempt = 0; attempt < 10; attempt += 1)
      expect((await logIn(url, 'operator', 'guess', from('10.0.0.66'))).answer.status).toBe(401);
    const refused = await logIn(url, 'operator', PASSWORD, from('10.0.0.66'));
    expect(refused.answer.status).toBe(429);
    expect(Number(refused.answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await logIn(url, 'operator', PASSWORD, from('10.0.0.7'))).answer.status).toBe(200);
    expect((await logIn(url, 'viewer', PASSWORD, from('10.0.0.66'))).answer.status).toBe(200);
    expect(await metricValue(server.deps, 'andon_http_logins_total{outcome="throttled"}')).toBe(1);
  });

  test('is refused after sixty wrong ones with other users from one address, or from one network of IPv6, for five minutes', async () => {
    const clock = new FakeClock();
    const throttle = new LoginThrottle(clock);
    for (let guess = 0; guess < 60; guess += 1) expect(throttle.begin(`user-${guess}`, `fd00::${guess}`)).toBe(0);
    expect(throttle.begin('operator', 'fd00::99')).toBe(300);
    expect(throttle.begin('operator', 'fd00:0:0:1::1')).toBe(0);
    await clock.advance(300_000);
    expect(throttle.begin('operator', 'fd00::99')).toBe(0);
  });

  test('with the right password does not count, and neither does it forgive wrong ones', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true });
    const status = async (password: string) => (await logIn(url, 'operator', password)).answer.status;
    for (let login = 0; login < 12; login += 1) expect(await status(PASSWORD)).toBe(200);
    for (let guess = 0; guess < 10; guess += 1) {
      expect(await status(guess === 5 ? PASSWORD : 'right')).toBe(guess === 5 ? 200 : 401);
    }
    expect(await status('guess')).toBe(401);
    expect(await status(PASSWORD)).toBe(429);
    await clock.advance(300_000);
    expect(await status(PASSWORD)).toBe(200);
  });

  test('many at the same time are not all tried', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const answers = await Promise.all(Array.from({ length: 40 }, () => logIn(url, 'operator', 'guess')));
    expect(answers.filter(({ answer }) => answer.status === 401).length).toBeLessThanOrEqual(10);
  });

  test('with X-Forwarded-For of a proxy that is not trusted counts for the proxy', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    for (let attempt = 0; attempt < 10; attempt += 1)
      await logIn(url, 'operator', 'guess', { 'x-forwarded-for': `10.0.0.${attempt}` });
    expect((await logIn(url, 'operator', PASSWORD, { 'x-forwarded-for': '10.0.0.99' })).answer.status).toBe(429);
  });
});

describe('a token', () => {
  test('expires, is rotated without a restart, and two are valid at the same time', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    const expires = new Date(clock.nowMs() + 60_000).toISOString();
    await timed.writeUsers({ tokens: { mes: { role: 'viewer', sha256: tokenDigest('old'), expires } } });
    const url = await timed.start({ users: true });
    const status = async (token: string) => (await post(`${url}/view`, bearer(token))).status;
    expect([await status('old'), await status('new')]).toEqual([200, 401]);
    await timed.writeUsers({
      tokens: {
        mes: { role: 'viewer', sha256: tokenDigest('old'), expires },
        'mes-2': { role: 'viewer', sha256: tokenDigest('new') },
      },
    });
    await clock.advance(1_000);
    expect([await status('old'), await status('new')]).toEqual([200, 200]);
    await clock.advance(60_000);
    expect([await status('old'), await status('new')]).toEqual([401, 200]);
  });

  test('of a command on the box may do everything, and names the Unix user', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const answer = await post(`${url}/administer`, { ...bearer(LOCAL_TOKEN), 'x-andon-user': 'cli:anna' });
    expect(await answer.json()).toEqual({ actor: 'cli:anna@127.0.0.1' });
    const pretended = await post(`${url}/operate`, { ...bearer(tokenOf('operator')), 'x-andon-user': 'cli:root' });
    expect(await pretended.json()).toEqual({ actor: 'operator@127.0.0.1' });
  });
});

describe('a stored password that is damaged', () => {
  test.each(['$scrypt$ln=15,r=8,p=1$AAAA$A', '$scrypt$ln=0,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$' + 'A'.repeat(43), 'plain'])(
    'opens nothing: %s',
    async (password) => {
      server.writeFile(`users: { anna: { role: admin, password: '${password}' } }\n`);
      const url = await server.start({ users: true });
      expect((await logIn(url, 'anna', 'x')).answer.status).toBe(401);
    },
  );
});

test('a long answer ends when its login does', async () => {
  const clock = new FakeClock();
  await using timed = new AccessServer(testDeps(clock));
  await timed.writeUsers();
  const url = await timed.start({ users: true });
  const admitted = async () => (await fetch(`${url}/admitted`, { headers: bearer(tokenOf('viewer')) })).json();
  expect(await admitted()).toEqual({ admitted: true });
  const waiting = fetch(`${url}/admitted?later`, { headers: bearer(tokenOf('viewer')) });
  await expect.poll(() => timed.waiting.length).toBe(1);
  timed.writeFile('tokens: {}\n');
  await clock.advance(1_000);
  timed.waiting[0]?.();
  expect(await (await waiting).json()).toEqual({ admitted: false });
});

describe('a file of users that cannot be used', () => {
  test('keeps the last valid users in force, and health names the problem', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true });
    timed.writeFile('users: { anna: { role: boss } }\n');
    await clock.advance(1_000);
    expect((await post(`${url}/operate`, bearer(tokenOf('operator')))).status).toBe(200);
    const health = timed.deps.health.components().find(({ name }) => name === 'http/users');
    expect(health).toMatchObject({ status: 'degraded', reason: expect.stringContaining('users.anna.role') });
    await timed.writeUsers();
    await clock.advance(1_000);
    await post(`${url}/view`, bearer(tokenOf('viewer')));
    expect(timed.deps.health.components().find(({ name }) => name === 'http/users')).toMatchObject({ status: 'ok' });
  });

  test('opens nothing at the start', async () => {
    server.writeFile('users: [anna]\n');
    const url = await server.start({ users: true });
    for (const permission of Object.keys(permissions)) expect((await post(`${url}/${permission}`)).status).toBe(401);
  });
});

test('logins, changes of accounts and ended sessions are in the audit log, with name and address', async () => {
  const clock = new FakeClock();
  await using timed = new AccessServer(testDeps(clock));
  await timed.writeUsers();
  const url = await timed.start({ users: true });
  const { cookie } = await logIn(url, 'operator');
  await logIn(url, 'operator', 'wrong password');
  await timed.writeUsers({ tokens: { mes: { role: 'viewer', sha256: tokenDigest('x') } } });
  await clock.advance(1_000);
  const admin = bearer(tokenOf('admin'));
  await fetch(`${url}/api/v1/accounts/operator/sessions`, { method: 'DELETE', headers: admin });
  await post(`${url}/api/v1/logout`, { cookie });
  await timed.audit[Symbol.asyncDispose]();
  const { entries, broken } = await readOperatorLog(join(timed.directory, 'outbox.db'), { after: [] }, timed.deps);
  expect(broken).toBeUndefined();
  expect(entries.map(({ actor, action, subject }) => [actor, action, subject])).toEqual([
    ['operator@127.0.0.1', 'login', 'operator'],
    ['andon', 'accounts', timed.usersFile],
    ['admin@127.0.0.1', 'end-sessions', 'operator'],
  ]);
  expect(entries[1]?.detail['changes']).toContain('tokens.mes: added (viewer)');
});

test('a user who is added and removed again is in the audit log with the user of the command, also if nobody sends a request', async () => {
  const clock = new FakeClock();
  await using timed = new AccessServer(testDeps(clock));
  timed.writeFile('users: {}\n');
  await timed.start({ users: true });
  const tokens = { mes: { role: 'admin', sha256: tokenDigest('x') } };
  timed.writeFile(stringify({ tokens, changed: { by: 'cli:root (sudo eve)', at: '2026-11-30T10:00:00Z' } }));
  await clock.advance(1_000);
  // Edited by hand: the name of the last command stays in the file.
  timed.writeFile(stringify({ tokens: {}, changed: { by: 'cli:root (sudo eve)', at: '2026-11-30T10:00:00Z' } }));
  await clock.advance(1_000);
  await timed.audit[Symbol.asyncDispose]();
  const { entries } = await readOperatorLog(join(timed.directory, 'outbox.db'), { after: [] }, timed.deps);
  expect(entries.map(({ actor, detail }) => [actor, detail['changes']])).toEqual([
    ['cli:root (sudo eve)', ['tokens.mes: added (admin)']],
    ['andon', ['tokens.mes: removed']],
  ]);
});

test('every answer has the headers that keep a browser from embedding, sniffing and running foreign scripts', async () => {
  const url = await server.start();
  for (const path of ['/open', '/view', '/nowhere', '/api/v1/accounts']) {
    const { headers } = await fetch(url + path);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  }
});

function permissionTable() {
  const text = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8');
  return [...text.matchAll(/^\| `(\w+)`:.*$/gm)].map(([line, permission]) => {
    const cells = line.split('|').slice(2, -1);
    const allowed = Object.fromEntries(roles.map((role, index) => [role, cells[index]?.trim() === 'yes']));
    return { permission: permission as Permission, allowed };
  });
}

/** `fetch` sets Host, Origin and Sec-Fetch-… itself. */
function statusWith(
  port: string,
  headers: Readonly<Record<string, string>>,
  method = 'POST',
  path = '/operate',
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.on('error', reject).end();
  });
}
