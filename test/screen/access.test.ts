import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/browser.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';

const pages = [
  '/',
  '/machine/level',
  '/alarms',
  '/alarms/journal',
  '/alarms/statistics',
  '/trends?tags=level',
  '/models/echo',
  '/configuration',
  '/configuration?tab=tags',
  '/configuration?tab=file',
  '/system',
  '/kiosk',
];

describeWith(['chromium'], 'every page', () => {
  let chromium: Browser;
  let line: WatchedPlant;

  beforeAll(async () => {
    chromium = await launchChromium();
    line = await WatchedPlant.start({
      level: levelWatch,
      calm: { ...levelWatch, tags: ['calm'] },
      new: { tags: ['level', 'count'], learn: { for: '10d' } },
      urgent: { ...levelWatch, alarm: { priority: 'critical' } },
    });
    line.setLevel(5);
  });
  afterAll(async () => {
    await line[Symbol.asyncDispose]();
    await chromium.close();
  });

  for (const colorScheme of ['light', 'dark'] as const)
    test.each(pages)(`%s has no violation of WCAG in ${colorScheme} colors while alarms are open`, async (path) => {
      await using screen = await ScreenPage.open(chromium, { colorScheme });
      await screen.page.goto(line.url + path);
      await screen.page.locator('.priority[data-filled="true"], #components tr').first().waitFor();
      expect(await screen.violations()).toEqual([]);
      expect(screen.errors).toEqual([]);
    });

  test.each(pages)('%s fits a phone without scrolling sideways', async (path) => {
    await using screen = await ScreenPage.open(chromium, { viewport: { width: 390, height: 844 } });
    await screen.page.goto(line.url + path);
    await screen.page.locator('.priority[data-filled="true"], #components tr').first().waitFor();
    expect(await screen.page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });

  test('is in English for a browser of another language', async () => {
    await using screen = await ScreenPage.open(chromium, { locale: 'fr-FR' });
    await screen.page.goto(line.url);
    await expect.poll(() => screen.page.locator('h1').textContent()).toBe('Line');
    expect(await screen.page.locator('html').getAttribute('lang')).toBe('en');
  });

  test('loads at most 200 kB for the first page', async () => {
    await using screen = await ScreenPage.open(chromium);
    let bytes = 0;
    screen.page.on('requestfinished', (request) => {
      if (/\/assets\/|\/$/.test(request.url()))
        void request.sizes().then(({ responseBodySize }) => (bytes += responseBodySize));
    });
    await screen.page.goto(line.url);
    await screen.page.locator('.tile').first().waitFor();
    await expect.poll(() => bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(200_000);
  });
});
