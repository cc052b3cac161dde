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
});
