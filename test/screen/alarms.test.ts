import { expect, test } from 'vitest';
import { andon } from '../cli/run-andon.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, WatchedPlant } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

describeWith(['chromium'], 'the alarms page', () => {
  const own = useScreen();

  const start = async (...options: Parameters<typeof WatchedPlant.start>) =>
    own.stack.use(await WatchedPlant.start(...options));
  const three = Object.fromEntries(
    (['low', 'critical', 'medium'] as const).map((priority) => [priority, { ...levelWatch, alarm: { priority } }]),
  );
  const column = (name: string) => own.screen.page.locator(`#alarms tbody .${name}`).allTextContents();

  test('lists open alarms by priority, with state, cause and the tag at that time', async () => {
    const line = await start(three);
    await own.screen.page.goto(`${line.url}/alarms`);
    await expect.poll(() => own.screen.page.locator('.empty').textContent()).toBe('No open alarms.');
    line.setLevel(5);
    await expect.poll(() => column('name')).toEqual(['critical', 'medium', 'low']);
    await expect.poll(() => column('state')).toEqual(['unacknowledged', 'unacknowledged', 'unacknowledged']);
    expect((await column('cause'))[0]).toMatch(/^score above threshold.*the score of critical is 5/);
    expect((await column('blame'))[0]).toBe('level 5');
    await expect.poll(() => own.screen.page.title()).toBe('(3) edge · andon');
  });

  test('opens with the alarm of a link selected, once, also if it is not open', async () => {
    const line = await start(three);
    line.setLevel(5);
    await own.screen.page.goto(`${line.url}/alarms`);
    await expect.poll(() => column('name')).toEqual(['critical', 'medium', 'low']);
    await own.screen.page.goto(`${line.url}/alarms?alarm=watch%2Fmedium`);
    const selection = own.screen.page.locator('#alarms tr[aria-selected="true"] .name');
    await expect.poll(() => selection.allTextContents()).toEqual(['medium']);
    await expect.poll(() => own.screen.page.locator('#alarms tr:focus .name').allTextContents()).toEqual(['medium']);
    await own.screen.isLive();
    await own.screen.page.keyboard.press('a');
    await expect.poll(() => own.screen.page.locator('.actions .count').textContent()).toBe('Selected: 0');
    line.setLevel(0);
    await expect.poll(() => column('name')).toEqual(['critical', 'low']);
    expect(await selection.count()).toBe(0);
    await own.screen.page.reload();
    await expect.poll(() => selection.allTextContents()).toEqual(['medium']);
    expect(await column('state')).toContain('normal');
  });

  test('is worked with the keyboard alone: moves, selects, acknowledges with a comment, and keeps the focus', async () => {
    const line = await start(three);
    await own.screen.page.goto(`${line.url}/alarms`);
    line.setLevel(5);
    await expect.poll(() => column('name')).toHaveLength(3);
    await own.screen.page.getByLabel('Comment').fill('bearing is warm');
    await own.screen.page.locator('#alarms tbody tr').first().focus();
    const { keyboard } = own.screen.page;
    await keyboard.press('ArrowDown');
    await keyboard.press('Space');
    await keyboard.press('ArrowDown');
    await keyboard.press('Space');
    await expect.poll(() => own.screen.page.locator('.actions .count').textContent()).toBe('Selected: 2');
    await own.screen.isLive();
    await keyboard.press('a');
    await expect.poll(() => column('state')).toEqual(['unacknowledged', 'acknowledged', 'acknowledged']);
    expect((await column('by'))[1]).toContain('bearing is warm');
    // An event reports the new state; the answer to the request, which ends the selection, may come after it.
    await expect.poll(() => own.screen.page.locator('.actions .count').textContent()).toBe('Selected: 0');
    const focused = `document.activeElement.querySelector('.name')?.textContent.trim()`;
    expect(await own.screen.page.evaluate(focused)).toBe('low');
  });

  test('keeps the cause of an alarm that returned until it is acknowledged, in the language of the page', async () => {
    const line = await start({ level: levelWatch });
    await own.screen.page.goto(`${line.url}/alarms`);
    line.setLevel(5);
    await expect.poll(() => column('state')).toEqual(['unacknowledged']);
    line.setLevel(0);
    await expect.poll(() => column('state')).toEqual(['returned, unacknowledged']);
    await expect
      .poll(async () => (await column('cause'))[0])
      .toMatch(/^score above threshold.*the score of level is 5.*Normal again since \d/);
    await own.screen.page.getByLabel('Language').selectOption('de');
    await expect
      .poll(async () => (await column('cause'))[0])
      .toMatch(/der Wert von level ist 5, über der Schwelle 1\./);
    await own.screen.page.getByLabel('Sprache').selectOption('zh');
    await expect.poll(async () => (await column('cause'))[0]).toMatch(/level 的得分为 5，高于阈值 1。/);
    expect(await own.screen.violations()).toEqual([]);
  });

  test('shelves several alarms, shows the time left, and takes them from the shelf', async () => {
    const line = await start(three);
    await own.screen.page.goto(`${line.url}/alarms`);
    line.setLevel(5);
    await expect.poll(() => column('name')).toHaveLength(3);
    await own.screen.page.getByLabel('Select all').check();
    await own.screen.page.getByLabel('Shelve for').selectOption('2h');
    await own.screen.page.getByRole('button', { name: 'Shelve (3)' }).click();
    await expect.poll(() => own.screen.page.locator('.empty').textContent()).toBe('No open alarms.');
    await own.screen.page.getByRole('button', { name: 'Shelved, suppressed' }).click();
    await expect.poll(() => column('state')).toEqual(['shelved', 'shelved', 'shelved']);
    expect((await column('by'))[0]).toMatch(/^anonymouson the shelf for another [12]h$/);
    await own.screen.page.getByLabel('Select watch/low').check();
    await own.screen.page.getByRole('button', { name: 'Unshelve (1)' }).click();
    await own.screen.page.getByRole('button', { name: 'Open' }).click();
    await expect.poll(() => column('name')).toEqual(['low']);
  });

  test('shows an alarm that is raised while it loads', async () => {
    const line = await start();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await own.screen.page.route('**/api/v1/watches', async (route) => {
      await released;
      await route.continue();
    });
    const alarmsAreRead = own.screen.page.waitForResponse('**/api/v1/alarms');
    const watchesAreRequested = own.screen.page.waitForRequest('**/api/v1/watches');
    await own.screen.page.goto(`${line.url}/alarms`);
    await alarmsAreRead;
    await watchesAreRequested;
    line.setLevel(5);
    const alarmState = async () => {
      const response = await fetch(`${line.url}/api/v1/alarms`);
      return ((await response.json()) as { alarms: { state: string }[] }).alarms[0]?.state;
    };
    await expect.poll(alarmState).toBe('unacknowledged');
    release();
    await expect.poll(() => column('state')).toEqual(['unacknowledged']);
    await expect.poll(() => own.screen.lamp()).toBe('red');
  });

  test('shows a viewer no actions, and the actions of an operator after the login', async () => {
    const line = await start({ level: levelWatch }, { anonymous: 'viewer' });
    await line.agent?.end('SIGTERM');
    line.configure({ level: levelWatch }, { users: 'users.yaml', anonymous: 'viewer' });
    const added = await andon('users', 'add', 'anna', '--role', 'operator', '--generate', '-c', line.folder.configFile);
    const password = /once: (\S+)/.exec(added.stdout)?.[1] ?? '';
    await line.startAgent();
    line.setLevel(5);
    await own.screen.page.goto(`${line.url}/alarms`);
    await expect.poll(() => column('state')).toEqual(['unacknowledged']);
    expect(await own.screen.page.locator('.actions, #alarms input').count()).toBe(0);
    await own.screen.page.getByRole('button', { name: 'Log in' }).click();
    await own.screen.page.getByLabel('User').fill('anna');
    await own.screen.page.getByLabel('Password').fill('wrong');
    await own.screen.page.getByRole('dialog').getByRole('button', { name: 'Log in' }).click();
    await expect.poll(() => own.screen.page.locator('#login-reason').textContent()).toContain('the password is wrong');
    await own.screen.page.getByLabel('Password').fill(password);
    await own.screen.page.getByRole('dialog').getByRole('button', { name: 'Log in' }).click();
    await own.screen.page.getByLabel('Select all').check();
    await own.screen.page.getByRole('button', { name: 'Acknowledge (1)' }).click();
    await expect.poll(() => column('state')).toEqual(['acknowledged']);
    expect((await column('by'))[0]).toContain('anna');
    await own.screen.page.getByRole('button', { name: 'anna operator' }).waitFor();
  });

  test('shows that a flood is one, with its causes', async () => {
    const names = Array.from({ length: 11 }, (_, number) => `level-${number}`);
    const line = await start(Object.fromEntries(names.map((name) => [name, levelWatch])));
    await own.screen.page.goto(`${line.url}/alarms`);
    await expect.poll(() => own.screen.lamp()).toBe('green');
    expect(await own.screen.page.locator('#flood').count()).toBe(0);
    line.setLevel(5);
    await expect
      .poll(() => own.screen.page.locator('#flood').textContent())
      .toBe('Alarm flood: 11 alarms in ten minutes. score above threshold: 11');
  });
});
