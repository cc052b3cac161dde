import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';
import { AccessServer, bearer, logIn, PASSWORD, tokenOf } from './access-server.ts';

let server: AccessServer;

beforeEach(() => {
  server = new AccessServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const post = (url: string, headers: Readonly<Record<string, string>> = {}) => fetch(url, { method: 'POST', headers });

describe('a session', () => {
  test('has a cookie that scripts cannot read and other sites cannot send, and ends at the logout', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const { answer, cookie } = await logIn(url, 'operator');
    expect(await answer.json()).toMatchObject({
      user: 'operator',
      role: 'operator',
      permissions: ['view', 'infer', 'operate'],
    });
    const flags = answer.headers.get('set-cookie') ?? '';
    expect(flags).toContain('HttpOnly');
    expect(flags).toContain('SameSite=Strict');
    expect(await (await post(`${url}/operate`, { cookie })).json()).toEqual({ actor: 'operator@127.0.0.1' });
    const session = await fetch(`${url}/api/v1/session`, { headers: { cookie } });
    expect(await session.json()).toMatchObject({ user: 'operator', login: true });
    expect((await post(`${url}/api/v1/logout`, { cookie })).status).toBe(200);
    expect((await post(`${url}/operate`, { cookie })).status).toBe(401);
  });

  test('gets a new id at each login, so that a planted one is worth nothing', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const planted = 'andon-session=planted';
    const { cookie } = await logIn(url, 'operator', PASSWORD, { cookie: planted });
    expect(cookie).not.toBe(planted);
    expect((await post(`${url}/operate`, { cookie: planted })).status).toBe(401);
    const again = await logIn(url, 'operator', PASSWORD, { cookie });
    expect(again.cookie).not.toBe(cookie);
    expect((await post(`${url}/operate`, { cookie })).status).toBe(401);
  });

  test('ends when it was not used for http.sessionIdle, and after http.sessionMax in any case', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true, sessionIdle: '10m', sessionMax: '25m' });
    const { cookie } = await logIn(url, 'viewer');
    for (const [minutes, status] of [
      [9, 200],
      [9, 200],
      [9, 401],
    ] as const) {
      await clock.advance(minutes * 60_000);
      expect((await post(`${url}/view`, { cookie })).status).toBe(status);
    }
    const idle = await logIn(url, 'viewer');
    await clock.advance(10 * 60_000);
    expect((await post(`${url}/view`, { cookie: idle.cookie })).status).toBe(401);
  });

  test('is not kept by the requests that an open page sends automatically', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true, sessionIdle: '10m' });
    const { cookie } = await logIn(url, 'viewer');
    const background = { cookie, 'x-andon-background': '1' };
    await clock.advance(6 * 60_000);
    expect((await post(`${url}/view`, background)).status).toBe(200);
    await clock.advance(3 * 60_000);
    expect((await post(`${url}/view`, { cookie })).status).toBe(200);
    await clock.advance(9 * 60_000);
    expect((await post(`${url}/view`, background)).status).toBe(200);
    await clock.advance(60_000);
    expect((await post(`${url}/view`, background)).status).toBe(401);
  });

  test('over TLS has a cookie that no other host and no clear text can plant', async () => {
    await server.writeUsers();
    const url = await server.start({ users: true });
    const overTls = { 'x-forwarded-proto': 'https' };
    const { answer, cookie } = await logIn(url, 'operator', PASSWORD, overTls);
    expect(cookie).toMatch(/^__Host-andon-session=/);
    expect(answer.headers.get('set-cookie')).toMatch(/Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    expect((await post(`${url}/operate`, { cookie, ...overTls })).status).toBe(200);
    const planted = cookie.replace('__Host-', '');
    expect((await post(`${url}/operate`, { cookie: planted, ...overTls })).status).toBe(401);
  });

  test('is not kept by an answer that stays open, which ends with it', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true, sessionIdle: '10m' });
    const { cookie } = await logIn(url, 'viewer');
    const headers = { cookie };
    const stream = await fetch(`${url}/stream`, { headers });
    const lines = stream.body?.getReader();
    // The stream looks at its login more often than the session may be idle.
    for (let minutes = 0; minutes < 9; minutes += 1) {
      await clock.advance(60_000);
      expect((await lines?.read())?.done).toBe(false);
    }
    await clock.advance(60_000);
    await expect(lines?.read()).rejects.toThrow('terminated');
    expect((await post(`${url}/view`, headers)).status).toBe(401);
  });

  test('ends with a new password, with the user, and at the word of an administrator', async () => {
    const clock = new FakeClock();
    await using timed = new AccessServer(testDeps(clock));
    await timed.writeUsers();
    const url = await timed.start({ users: true });
    const { cookie } = await logIn(url, 'operator');
    // Another salt: the stored password differs.
    await timed.writeUsers();
    await clock.advance(1_000);
    expect((await post(`${url}/view`, { cookie })).status).toBe(401);

    const second = await logIn(url, 'operator');
    const accounts = await fetch(`${url}/api/v1/accounts`, { headers: bearer(tokenOf('admin')) });
    expect(await accounts.json()).toMatchObject({ sessions: [{ user: 'operator', address: '127.0.0.1' }] });
    const path = `${url}/api/v1/accounts/operator/sessions`;
    expect((await fetch(path, { method: 'DELETE', headers: bearer(tokenOf('engineer')) })).status).toBe(403);
    const ended = await fetch(path, { method: 'DELETE', headers: bearer(tokenOf('admin')) });
    expect(await ended.json()).toEqual({ ended: 1 });
    expect((await post(`${url}/view`, { cookie: second.cookie })).status).toBe(401);

    const third = await logIn(url, 'operator');
    timed.writeFile('users: {}\n');
    await clock.advance(1_000);
    expect((await post(`${url}/view`, { cookie: third.cookie })).status).toBe(401);
  });
});
