import { afterAll, beforeAll, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { levelWatch } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

const FITS =
  'document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth';

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
