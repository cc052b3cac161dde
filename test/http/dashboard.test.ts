import { writeFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { andon } from '../cli/run-andon.ts';
import { BrowserPage, launchChromium } from '../support/browser.ts';
import { TcpProxy } from '../support/broker-proxy.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

const watch = { model: 'echo', tags: ['level'], window: { step: '100ms', hop: '500ms', maxAge: '1s' }, alarm: {} };

describeWith(['chromium'], 'the page', () => {
  let stack: AsyncDisposableStack;
  let plant: CrashPlant;
  let folder: AgentFolder;
  let chromium: Browser;
  let browser: BrowserPage;

  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium.close());

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    plant = stack.use(await CrashPlant.start());
    folder = stack.use(new AgentFolder());
    browser = stack.use(await BrowserPage.open(chromium));
  });

  afterEach(async () => {
    await stack.disposeAsync();
    if (browser.errors.length > 0) throw new Error(`Errors on the page: ${browser.errors.join('; ')}`);
  });

  async function start(
    watches: Readonly<Record<string, object>> = { level: watch },
    access: object = { anonymous: 'operator' },
  ): Promise<AgentProcess> {
    folder.configure({ ...plant.sections('100ms'), watches, http: { listen: '127.0.0.1:0', ...access } });
    return stack.use(await AgentProcess.start(folder.configFile));
  }

  test('is green while every watch is normal, and grey with the time of the last data when the agent is killed', async () => {
    const agent = await start();
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    await expect.poll(() => browser.lamp()).toBe('green');
    expect(await browser.watch()).toMatch(/^normal: normal, score 0 \(threshold 1\)/);
    const green = await browser.color('.watch .state');
    await agent.end('SIGKILL');
    await expect.poll(() => browser.watch()).toMatch(/^away: not connected, last data \d+:\d\d:\d\d/);
    expect(await browser.lamp()).toBe('');
    expect(await browser.text('#link')).toBe('not connected');
    const grey = await browser.color('.watch small');
    expect(grey).not.toBe(green);
    for (const part of ['.watch .state', '.tag b', '#components td:nth-child(2)'])
      expect([part, await browser.color(part)]).toEqual([part, grey]);
  });

  test('is grey while the network is cut without a close, and continues when it is back', async () => {
    const agent = await start();
    const proxy = stack.use(await TcpProxy.listen(Number(new URL(agent.httpUrl).port)));
    await browser.page.goto(`${proxy.url.replace('mqtt:', 'http:')}/dashboard`);
    await expect.poll(() => browser.lamp()).toBe('green');
    proxy.die();
    await expect.poll(() => browser.watch()).toMatch(/^away: not connected, last data/);
    expect(await browser.lamp()).toBe('');
    plant.plc.registers[0] = 5;
    proxy.revive();
    await expect.poll(() => browser.watch()).toMatch(/^abnormal: abnormal, score 5/);
    await expect.poll(() => browser.lamp()).toBe('red');
  });

  test('is not green while a watch cannot judge, and names the reason and the time of the last data', async () => {
    const agent = await start();
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    await expect.poll(() => browser.lamp()).toBe('green');
    const green = await browser.color('.watch .state');
    await plant.plc[Symbol.asyncDispose]();
    await expect
      .poll(() => browser.watch())
      .toMatch(/^unknown: unknown: level: no good value for .*, last data \d+:\d\d:\d\d/);
    expect(await browser.lamp()).not.toBe('green');
    expect(await browser.color('.watch .state')).not.toBe(green);
    await expect.poll(() => browser.text('.tag b')).toMatch(/^– /);
    await expect.poll(() => browser.watch()).toMatch(/^blind: blind since \d+:\d\d:\d\d.*: level: no good value/);
  });

  test('is neutral while a watch is learning, and shows how far it is and what is missing', async () => {
    const agent = await start({ new: { tags: ['level', 'count'], learn: { for: '10d' } } });
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    await expect.poll(() => browser.watch()).toBe('learning: learning, 0 %');
    await expect
      .poll(() => browser.text('.learning'))
      .toMatch(/0 %: .* of 10d in which every tag has good values\..*seen: level 0 \(100 %\)/);
    expect(await browser.lamp()).toBe('');
    expect(await browser.text('#summary')).toContain('watches: 1 learning');
  });

  test('shows an alarm that is raised while it loads', async () => {
    const agent = await start();
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await browser.page.route('**/history', async (route) => {
      await released;
      await route.continue();
    });
    const alarmsAreRead = browser.page.waitForResponse('**/api/v1/alarms');
    const historyIsAsked = browser.page.waitForRequest('**/history');
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    await alarmsAreRead;
    await historyIsAsked;
    plant.plc.registers[0] = 5;
    const alarmState = async () => {
      const response = await fetch(`${agent.httpUrl}/api/v1/alarms`);
      return ((await response.json()) as { alarms: { state: string }[] }).alarms[0]?.state;
    };
    await expect.poll(alarmState).toBe('unacknowledged');
    release();
    await expect.poll(() => browser.text('.alarm')).toContain('levelunacknowledged');
    expect(await browser.lamp()).toBe('red');
    await browser.page.getByRole('button', { name: 'acknowledge' }).click();
    await expect.poll(() => browser.text('.alarm span')).toBe('acknowledged');
    expect(await browser.lamp()).toBe('amber');
  });

  test('asks for a login before an alarm is acknowledged, and goes on with it', async () => {
    writeFileSync(folder.configFile, 'agent: { id: edge }\nhttp: { users: users.yaml }\n');
    const added = await andon('users', 'add', 'anna', '--role', 'operator', '--generate', '-c', folder.configFile);
    const password = /once: (\S+)/.exec(added.stdout)?.[1] ?? '';
    const agent = await start({ level: watch }, { users: 'users.yaml', anonymous: 'viewer' });
    plant.plc.registers[0] = 5;
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    const acknowledge = browser.page.getByRole('button', { name: 'acknowledge' });
    await acknowledge.click();
    await expect.poll(() => browser.text('#login-reason')).toContain('This needs a login with the role operator');
    await browser.page.getByRole('button', { name: 'Cancel' }).click();
    expect(await browser.text('.alarm span')).toBe('unacknowledged');
    await acknowledge.click();
    await browser.page.getByLabel('User').fill('anna');
    await browser.page.locator('#secret').fill('wrong');
    await browser.page.getByRole('button', { name: 'Log in' }).click();
    await expect.poll(() => browser.text('#login-reason')).toContain('the password is wrong');
    await browser.page.locator('#secret').fill(password);
    await browser.page.getByRole('button', { name: 'Log in' }).click();
    await expect.poll(() => browser.text('.alarm span')).toBe('acknowledged');
  });

  test('groups a flood of alarms by cause, and says that it is one', async () => {
    const names = Array.from({ length: 11 }, (_, number) => `level-${number}`);
    const agent = await start(Object.fromEntries(names.map((name) => [name, watch])));
    await browser.page.goto(`${agent.httpUrl}/dashboard`);
    await expect.poll(() => browser.lamp()).toBe('green');
    expect(await browser.page.locator('#flood').isVisible()).toBe(false);
    plant.plc.registers[0] = 5;
    await expect
      .poll(() => browser.text('#flood'))
      .toBe('Alarm flood: 11 alarms in ten minutes (score-above-threshold: 11)');
    expect(await browser.page.locator('#flood').isVisible()).toBe(true);
    expect(await browser.text('#alarms summary')).toBe('score-above-threshold: 11 alarms');
    expect(await browser.page.locator('#alarms .alarm').first().isVisible()).toBe(false);
    await browser.page.locator('#alarms summary').click();
    await browser.page.getByRole('button', { name: 'acknowledge' }).first().click();
    await expect.poll(() => browser.text('#alarms .alarm span')).toBe('acknowledged');
  });
});
