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
    // Nothing listens on port 9: the reason of the uplink is a text of the agent.
    const uplinks = { lake: { type: 'http', url: 'http://127.0.0.1:9', records: ['verdict'] } };
    line = await WatchedPlant.start({ level: levelWatch }, { anonymous: 'engineer' }, { uplinks });
    line.setLevel(5);
  });
  afterAll(() => line[Symbol.asyncDispose]());

  test.each([
    { locale: 'en-GB', language: 'en', heading: 'Line', reason: 'The request to 127.0.0.1:9 failed' },
    { locale: 'de-DE', language: 'de', heading: 'Linie', reason: 'Der Empfänger ist nicht erreichbar' },
    { locale: 'zh-CN', language: 'zh', heading: '产线', reason: '无法连接接收方' },
  ])(
    'has a text for every key and for a reason of health in $locale',
    async ({ locale, language, heading, reason }) => {
      await using screen = await ScreenPage.open(own.chromium, { locale });
      const { page } = screen;
      await page.goto(line.url);
      await expect.poll(() => page.locator('h1').textContent()).toBe(heading);
      expect(await page.locator('html').getAttribute('lang')).toBe(language);
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
      await page.goto(`${line.url}/system`);
      const uplink = page.locator('#components tr', { hasText: 'uplink/lake' }).locator('.reason');
      await expect.poll(() => uplink.textContent()).toMatch(new RegExp(`^${reason}`));
      expect(screen.errors).toEqual([]);
    },
  );
});
