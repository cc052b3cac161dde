import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { Agent, request } from 'undici';
import { stringify } from 'yaml';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hashPassword } from '../../src/web/access/password.ts';
import { tokenDigest } from '../../src/web/access/users-file.ts';
import { launchChromium } from '../support/browser.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';

const PASSWORD = 'correct horse battery';
const ADMIN = { authorization: 'Bearer token-of-the-administrator' };

/* A page of an agent with users, and pages of other sites, in a real browser. */
describeWith(['chromium'], 'a login on the page', () => {
  let chromium: Browser;
  let line: WatchedPlant;
  let screen: ScreenPage;
  let page: Page;

  beforeAll(async () => {
    chromium = await launchChromium();
    line = await WatchedPlant.start({ level: levelWatch }, { anonymous: 'viewer' });
    await line.agent?.end('SIGTERM');
    const password = await hashPassword(PASSWORD);
    const operator = { role: 'operator', password };
    const users = { anna: operator, bert: operator, carla: operator };
    const tokens = { boss: { role: 'admin', sha256: tokenDigest(ADMIN.authorization.slice('Bearer '.length)) } };
    writeFileSync(join(line.folder.path, 'users.yaml'), stringify({ users, tokens }), { mode: 0o600 });
    line.configure({ level: levelWatch }, { users: 'users.yaml' });
    await line.startAgent();
  });
  afterAll(async () => {
    await line[Symbol.asyncDispose]();
    await chromium.close();
  });

  beforeEach(async () => {
    screen = await ScreenPage.open(chromium);
    ({ page } = screen);
  });
  afterEach(() => screen[Symbol.asyncDispose]());

  async function submit(user: string, password: string): Promise<void> {
    await page.getByLabel('User').fill(user);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('dialog').getByRole('button', { name: 'Log in' }).click();
  }

  async function logIn(user: string): Promise<void> {
    await page.goto(line.url);
    await submit(user, PASSWORD);
    await expect.poll(() => screen.lamp()).toBe('green');
  }

  async function alarmState(): Promise<string | undefined> {
    const answer = await fetch(`${line.url}/api/v1/alarms`, { headers: ADMIN });
    return ((await answer.json()) as { readonly alarms: readonly { readonly state: string }[] }).alarms[0]?.state;
  }

  /** Returns who a request with this cookie is. */
  async function userOf(cookie: string): Promise<string | null> {
    const answer = await fetch(`${line.url}/api/v1/session`, { headers: { cookie } });
    return ((await answer.json()) as { readonly user: string | null }).user;
  }

  const sessionCookie = async () => (await page.context().cookies(line.url))[0];

  test('shows no data before, has a cookie that scripts cannot read, and ends at the logout', async () => {
    await page.goto(line.url);
    await page.getByRole('dialog').waitFor();
    expect(await page.locator('.tile').count()).toBe(0);
    await logIn('anna');
    const cookie = await sessionCookie();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/' });
    expect(await page.evaluate('document.cookie')).toBe('');
    const sent = `${cookie?.name}=${cookie?.value}`;
    expect(await userOf(sent)).toBe('anna');
    await page.getByRole('button', { name: 'anna operator' }).click();
    await page.getByRole('dialog').waitFor();
    expect(await userOf(sent)).toBeNull();
  });

  test('gets a session of its own, so that one that another site planted is worth nothing', async () => {
    await logIn('anna');
    const { name = '', value: planted = '' } = (await sessionCookie()) ?? {};
    await using victim = await ScreenPage.open(chromium);
    await victim.page.context().addCookies([{ name, value: 'planted-by-an-attacker', url: line.url }]);
    await victim.page.goto(line.url);
    await victim.page.getByLabel('User').fill('bert');
    await victim.page.getByLabel('Password').fill(PASSWORD);
    await victim.page.getByRole('dialog').getByRole('button', { name: 'Log in' }).click();
    await expect.poll(() => victim.lamp()).toBe('green');
    const own = (await victim.page.context().cookies(line.url)).find((cookie) => cookie.name === name);
    expect([planted, 'planted-by-an-attacker']).not.toContain(own?.value);
    expect(await userOf(`${name}=planted-by-an-attacker`)).toBeNull();
    expect(await userOf(`${name}=${own?.value}`)).toBe('bert');
  });

  test('is kept by what a person does, and not by what the page reads automatically', async () => {
    await logIn('bert');
    const mark = (wanted: string | undefined) =>
      page.waitForRequest((sent) => sent.headers()['x-andon-background'] === wanted);
    await mark('1');
    const caused = mark(undefined);
    await page.keyboard.press('Shift');
    expect((await caused).url()).toContain(line.url);
    expect((await mark('1')).url()).toContain(line.url);
  });

  test('is shown again when the session ends, and the page is not green meanwhile', async () => {
    await logIn('carla');
    const ended = await fetch(`${line.url}/api/v1/accounts/carla/sessions`, { method: 'DELETE', headers: ADMIN });
    expect(await ended.json()).toEqual({ ended: 1 });
    await page.getByRole('dialog').waitFor({ timeout: 60_000 });
    await expect.poll(() => screen.lamp()).toBe('off');
    expect(await screen.tile('level')).toMatch(/^away: last data/);
    await submit('carla', PASSWORD);
    await expect.poll(() => screen.lamp()).toBe('green');
  });

  test('a page of another site cannot read data, embed the page or send a request in the background', async () => {
    await logIn('anna');
    await using other = await servePage(`<iframe src="${line.url}/"></iframe>`);
    await page.goto(`http://localhost:${other.port}/`);
    const tried = (mode: string) =>
      page.evaluate(`fetch('${line.url}/api/v1/alarms', { mode: '${mode}', credentials: 'include' })
        .then((answer) => answer.type + ' ' + answer.status, () => 'refused')`);
    expect(await tried('cors')).toBe('refused');
    expect(await tried('no-cors')).toBe('refused');
    expect(page.frames().some((frame) => frame.url().startsWith(line.url))).toBe(false);
  });

  test('after ten wrong passwords is refused for this user here, and for nobody else', async () => {
    await page.goto(line.url);
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const answered = page.waitForResponse((response) => response.url().endsWith('/api/v1/login'));
      await submit('anna', `wrong password ${attempt}`);
      expect([401, 429]).toContain((await answered).status());
    }
    await submit('anna', PASSWORD);
    await expect.poll(() => page.locator('#login-reason').textContent()).toMatch(/^Too many/);
    const refused = await line.agent?.logged(({ msg }) => msg === 'Login refused: too many logins.');
    expect(refused).toMatchObject({ user: 'anna', address: '127.0.0.1' });
    const metrics = await (await fetch(`${line.url}/metrics`, { headers: ADMIN })).text();
    expect(metrics).toMatch(/^andon_http_logins_total\{outcome="throttled"\} [1-9]/m);
    // The same user elsewhere, and another user here.
    const elsewhere = await request(`${line.url}/api/v1/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'anna', password: PASSWORD }),
      dispatcher: new Agent({ localAddress: '127.0.0.2' }),
    });
    expect(elsewhere.statusCode).toBe(200);
    await submit('bert', PASSWORD);
    await expect.poll(() => screen.lamp()).toBe('green');
  });

  test.each(['localhost', '127.0.0.1'])('cannot be used by a page of another site: %s', async (host) => {
    // The level stays: the alarm must not return between the two tests.
    line.setLevel(5);
    await logInAbnormal('carla');
    const url = `${line.url}/api/v1/alarms/watch/level/acknowledge`;
    const body = `<form method="post" enctype="text/plain" action="${url}"><input name='{"by":"' value='x"}'></form>`;
    await using other = await servePage(`${body}<script>document.forms[0].submit()</script>`);
    const answered = page.waitForResponse((response) => response.url() === url);
    await page.goto(`http://${host}:${other.port}/`);
    const answer = await answered;
    expect(answer.status()).toBe(403);
    const headers = await answer.request().allHeaders();
    expect(headers['sec-fetch-site']).toBe(host === 'localhost' ? 'cross-site' : 'same-site');
    expect(await answer.text()).toContain('are refused');
    expect(await alarmState()).toBe('unacknowledged');
  });

  async function logInAbnormal(user: string): Promise<void> {
    await page.goto(line.url);
    await submit(user, PASSWORD);
    await expect.poll(() => screen.lamp()).toBe('red');
    await expect.poll(alarmState).toBe('unacknowledged');
  }
});

/** Serves a page of another origin. */
async function servePage(html: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end(html),
  );
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
