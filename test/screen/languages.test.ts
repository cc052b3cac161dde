import { afterAll, beforeAll, expect, test } from 'vitest';
import { en } from '../../screen/src/texts/en.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

const pages = [
  '/',
  '/machine/level',
  '/alarms',
  '/alarms/journal',
  '/alarms/statistics',
  '/trends?tags=level',
  '/models/echo',
  '/configuration?tab=tags',
  '/configuration?tab=topics',
  '/system',
  '/kiosk',
];

describeWith(['chromium'], 'each page in each language', () => {
  const own = useScreen();
  let line: WatchedPlant;

  beforeAll(async () => {
    line = await WatchedPlant.start({ level: levelWatch }, { anonymous: 'engineer' });
    line.setLevel(5);
  });
  afterAll(() => line[Symbol.asyncDispose]());

  test.each([
    { locale: 'en-GB', heading: 'Line' },
    { locale: 'de-DE', heading: 'Linie' },
    { locale: 'zh-CN', heading: '产线' },
  ])('has a text for every key in $locale', async ({ locale, heading }) => {
    await using screen = await ScreenPage.open(own.chromium, { locale });
    const { page } = screen;
    await page.goto(line.url);
    await expect.poll(() => page.locator('h1').textContent()).toBe(heading);
    for (const path of pages) {
      await page.goto(line.url + path);
      await page
        .locator(path === '/kiosk' ? 'main' : 'h1')
        .first()
        .waitFor();
      const shown = new Set((await page.locator('body').innerText()).split(/\s+/));
      expect(Object.keys(en).filter((key) => shown.has(key))).toEqual([]);
      expect([...shown].filter((word) => /^\{\w+\}$|^undefined$|^NaN$/.test(word))).toEqual([]);
    }
    expect(screen.errors).toEqual([]);
  });
});
