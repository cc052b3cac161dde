/**
 * Writes the screenshots of the docs from the running demo: `npm run screenshots`. Needs Chromium. Takes about two minutes,
 * because the bearing of the demo wears after 25 s, its alarm must be open, and later the bearing must have recovered.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { parse } from 'yaml';
import { AgentFolder, AgentProcess } from '../test/support/start-agent.ts';

const root = join(import.meta.dirname, '..');
const demo = spawn(process.execPath, [join(root, 'bin/andon.js'), 'demo', '--seconds', '180'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const url = await demoUrl();
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});

try {
  const light = await open({ colorScheme: 'light' });
  await light.goto(`${url}/machine/pump-1?range=15m`);
  await light.locator('.machine-head .state[data-look="abnormal"]').waitFor({ timeout: 120_000 });
  const alarm = light.locator('.alarm-line');
  await alarm.waitFor({ timeout: 60_000 });
  await shoot(light, 'screen-line', '/', 1200, 420);
  await shoot(light, 'screen-alarms', '/alarms', 1200, 420);
  await shoot(light, 'screen-models', '/models/pump-anomaly', 1200, 1330);
  await shootConfiguration(light);
  // The bearing recovers: the curves have its wear as a whole.
  const normal = '.machine-head .state[data-look="normal"]';
  await light.goto(`${url}/machine/pump-1?range=15m`);
  await light.locator(normal).waitFor({ timeout: 120_000 });
  const nowMs = Date.now();
  await light.goto(`${url}/machine/pump-1?from=${nowMs - 60_000}&to=${nowMs + 2000}`);
  await shoot(light, 'demo', '/machine/pump-1', 1200, 900);
  const dark = await open({ colorScheme: 'dark' });
  const tags = 'pump-1.vibration,pump-1.current,pump-1.temperature';
  await shoot(dark, 'screen-trends', `/trends?tags=${tags}&from=${nowMs - 60_000}&to=${nowMs + 2000}`, 1200, 620);
} finally {
  await browser.close();
  if (demo.exitCode === null) {
    demo.kill('SIGINT');
    await once(demo, 'exit');
  }
}

/** Returns the address that the demo prints. Its output is read to the end: a closed pipe would stop the demo. */
function demoUrl(): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    demo.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /dashboard +(http:\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    demo.on('exit', () => reject(new Error(`The demo ended: ${text}`)));
  });
}

async function open(options: { readonly colorScheme: 'light' | 'dark' }): Promise<Page> {
  const context = await browser.newContext({ ...options, locale: 'en-GB', reducedMotion: 'reduce' });
  return context.newPage();
}

async function shoot(page: Page, name: string, path: string, width: number, height: number): Promise<void> {
  await page.setViewportSize({ width, height });
  if (new URL(page.url(), url).pathname !== path) await page.goto(url + path);
  await page.locator('.tile, #alarms tbody tr, .chart canvas, #versions tbody tr').first().waitFor();
  // Charts draw in the next frames.
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(root, 'docs', `${name}.png`) });
}

/** Takes sources and tags from an agent that engineers configure. The pictures have no path of its folder. */
async function shootConfiguration(page: Page): Promise<void> {
  const { sources } = parse(readFileSync(join(root, 'config/demo.yaml'), 'utf8')) as { readonly sources: object };
  using folder = new AgentFolder();
  folder.configure({ sources, http: { listen: '127.0.0.1:0', anonymous: 'engineer' } });
  await using agent = await AgentProcess.start(folder.configFile);
  await page.setViewportSize({ width: 1200, height: 800 });
  await page.goto(`${agent.httpUrl}/configuration`);
  for (const tag of ['pump-1.vibration', 'pump-1.current', 'pump-1.pressure'])
    await page.getByLabel(`Choose ${tag}`, { exact: true }).check();
  await page.locator('.watch-form input').first().fill('pump-1');
  // Every tag has a value.
  await page.locator('.source:not(:has(tr[data-quality="bad"]))').nth(1).waitFor();
  await shootPart(page, 'screen-configuration', '.source:last-of-type');
  await page.goto(`${agent.httpUrl}/configuration?tab=tags&source=plc-1`);
  await page.locator('#tags tbody tr').first().waitFor();
  await shootPart(page, 'screen-tags', '#tags');
}

/** Takes the page from the form above the content on, to the end of an element. */
async function shootPart(page: Page, name: string, last: string): Promise<void> {
  const [top, bottom] = [
    await page.locator('.watch-form').boundingBox(),
    await page.locator(last).last().boundingBox(),
  ];
  if (top === null || bottom === null) throw new Error(`${last} is not visible.`);
  const clip = { x: 0, y: top.y - 8, width: 1200, height: bottom.y + bottom.height + 16 - top.y };
  await page.screenshot({ path: join(root, 'docs', `${name}.png`), clip });
}
