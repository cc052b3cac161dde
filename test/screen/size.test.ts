import { afterAll, beforeAll, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { levelWatch, WatchedPlant } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

const FITS =
  'document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth';

/** Texts of the wall view that are cut, or outside of the screen. Its content is clipped, so nothing of it can scroll. */
const UNSEEN = `[...document.querySelectorAll('.kiosk :is(h1, strong, span, time, .priority, .lamp)')]
  .filter((each) => {
    const { left, top, right, bottom, width } = each.getBoundingClientRect();
    return width === 0 || left < 0 || top < 0 || right > innerWidth || bottom > innerHeight || each.scrollWidth > each.clientWidth + 1 && each.tagName !== 'svg';
  })
  .map((each) => each.textContent + ' ' + JSON.stringify(each.getBoundingClientRect()))`;

describeWith(['chromium'], 'a large plant', () => {
  const own = useScreen();

  let stack: AsyncDisposableStack;
  let url: string;

  beforeAll(async () => {
    stack = new AsyncDisposableStack();
    const plant = stack.use(await CrashPlant.start());
    const { sources, models } = plant.sections('100ms');
    const registers = Array.from({ length: 500 }, (_, address) => [
      `t-${address}`,
      { register: 'holding', address: 2 + address, type: 'uint16' },
    ]);
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: { plc: { ...sources.plc, tags: { ...sources.plc.tags, ...Object.fromEntries(registers) } } },
      models,
      watches: Object.fromEntries(Array.from({ length: 100 }, (_, number) => [`m-${number}`, levelWatch])),
      http: { listen: '127.0.0.1:0', anonymous: 'viewer' },
    });
    const agent = stack.use(await AgentProcess.start(folder.configFile));
    url = agent.httpUrl;
  });
  afterAll(() => stack.disposeAsync());

  test('of 100 watches and 500 tags opens with at most 300 kB', async () => {
    const { page } = own.screen;
    const sizes: Promise<number>[] = [];
    page.on('requestfinished', (request) => {
      sizes.push(request.sizes().then((size) => size.responseBodySize + size.responseHeadersSize));
    });
    await page.goto(url);
    await expect.poll(() => page.locator('.tile[data-look="normal"]').count()).toBe(100);
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThanOrEqual(300_000);
  });

  test('of 100 watches has all names on the wall view, also on an upright screen', async () => {
    const { page } = own.screen;
    await page.goto(`${url}/kiosk`);
    for (const viewport of [
      { width: 1920, height: 1080 },
      { width: 1080, height: 1920 },
    ]) {
      await page.setViewportSize(viewport);
      await expect.poll(() => page.locator('.wall .tile[data-look="normal"]').count()).toBe(100);
      await expect.poll(() => page.evaluate(UNSEEN)).toEqual([]);
    }
  });

  test('of 100 watches has all tiles on a screen of 1080 lines, and on a wall of 4K', async () => {
    const { page } = own.screen;
    for (const viewport of [
      { width: 1920, height: 1080 },
      { width: 3840, height: 2160 },
    ]) {
      await page.setViewportSize(viewport);
      await page.goto(url);
      await expect.poll(() => page.locator('.tile[data-look="normal"]').count()).toBe(100);
      expect(await page.evaluate(FITS), `${viewport.width} × ${viewport.height}`).toBe(true);
    }
  });
});

describeWith(['chromium'], 'the wall view', () => {
  const own = useScreen();

  test('of 12 watches in alarm is readable from 5 m, in 1080 lines and in 4K', async () => {
    const { page } = own.screen;
    const names = Array.from({ length: 12 }, (_, number) => `conveyor-${number}`);
    const line = own.stack.use(await WatchedPlant.start(Object.fromEntries(names.map((name) => [name, levelWatch]))));
    line.setLevel(5);
    await page.goto(`${line.url}/kiosk`);
    for (const viewport of [
      { width: 1920, height: 1080 },
      { width: 3840, height: 2160 },
    ]) {
      await page.setViewportSize(viewport);
      await expect.poll(() => page.locator('.tile[data-look="abnormal"]').count()).toBe(12);
      await expect.poll(() => page.locator('.wall-alarms li').count()).toBe(4);
      const size = await page.evaluate(`parseFloat(getComputedStyle(document.querySelector('.wall strong')).fontSize)`);
      expect(size, `${viewport.width} × ${viewport.height}`).toBeGreaterThanOrEqual(viewport.height * 0.05);
      expect(await page.evaluate(UNSEEN)).toEqual([]);
    }
  });
});
