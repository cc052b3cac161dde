import { afterAll, beforeAll, expect, test } from 'vitest';
import { Firefox } from '../support/firefox.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, WatchedPlant } from './screen-page.ts';

/* Each page in Debian's Firefox ESR, with data from the agent. */
describeWith(['firefox-esr'], 'Firefox ESR', () => {
  let firefox: Firefox;
  let line: WatchedPlant;

  beforeAll(async () => {
    firefox = await Firefox.start();
    line = await WatchedPlant.start({ level: levelWatch }, { anonymous: 'engineer' });
    line.setLevel(5);
  });
  afterAll(async () => {
    await firefox[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
  });

  test.each([
    ['/', '.tile[data-look="abnormal"]'],
    ['/machine/level', '.chart canvas'],
    ['/alarms', '#alarms tbody tr'],
    ['/alarms/journal', 'tbody tr'],
    ['/alarms/statistics', 'h1'],
    ['/trends?tags=level', '.chart canvas'],
    ['/models/echo', '#versions tbody tr'],
    ['/configuration', '.source tbody tr'],
    ['/configuration?tab=tags', '#tags tbody tr'],
    ['/configuration?tab=file', '.yaml-editor'],
    ['/system', '#components tr'],
    ['/kiosk', 'main'],
  ])('shows %s with its data', async (path, element) => {
    await firefox.goto(line.url + path);
    const isThere = `String(document.querySelector(${JSON.stringify(element)}) !== null)`;
    await expect.poll(() => firefox.text(isThere)).toBe('true');
    expect(firefox.errors).toEqual([]);
  });

  const click = (selector: string) => firefox.text(`document.querySelector(${JSON.stringify(selector)}).click()`);
  const count = (selector: string) => firefox.text(`document.querySelectorAll(${JSON.stringify(selector)}).length`);

  test('compares an edited configuration in a dialog that Escape closes', async () => {
    await firefox.goto(`${line.url}/configuration?tab=tags`);
    await expect.poll(() => count('#tags tbody tr[data-tag="calm"]')).toBe('1');
    await click('#tags tr[data-tag="calm"] td:last-child button');
    await expect.poll(() => count('#compare:enabled')).toBe('1');
    await click('#compare');
    await expect.poll(() => count('dialog.apply:modal')).toBe('1');
    await expect.poll(() => count('#diff tr:not([data-kind="same"]) code')).not.toBe('0');
    await firefox.press('\uE00C');
    await expect.poll(() => count('dialog.apply')).toBe('0');
    expect(firefox.errors).toEqual([]);
  });

  test('labels a period as a fault, and removes it', async () => {
    await firefox.goto(`${line.url}/machine/level`);
    await expect.poll(() => count('#link[data-state="live"]')).toBe('1');
    const choose = `(() => {
      const label = document.querySelector('form.tools select');
      label.value = 'fault';
      label.dispatchEvent(new Event('change', { bubbles: true }));
      return label.value;
    })()`;
    await expect.poll(() => firefox.text(choose)).toBe('fault');
    await expect.poll(() => count('form.tools input[type="datetime-local"]')).toBe('2');
    await click('form.tools button.main');
    await expect.poll(() => count('#annotations li[data-label="fault"]')).toBe('1');
    await click('#annotations li button');
    await expect.poll(() => count('#annotations li')).toBe('0');
    expect(firefox.errors).toEqual([]);
  });

  test('acknowledges an alarm', async () => {
    await firefox.goto(`${line.url}/alarms`);
    await expect.poll(() => count('#link[data-state="live"]')).toBe('1');
    await expect.poll(() => count('#alarms tbody tr')).toBe('1');
    const state = () => firefox.text(`document.querySelector('#alarms tbody .state').textContent`);
    await expect.poll(state).toBe('unacknowledged');
    await click('#alarms tbody input[type="checkbox"]');
    await expect.poll(() => count('.actions button:enabled')).not.toBe('0');
    await click('.actions button:enabled');
    await expect.poll(state).toBe('acknowledged');
    expect(firefox.errors).toEqual([]);
  });
});
