import { statSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/browser.ts';
import { describeWith } from '../support/programs.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';

describeWith(['chromium'], 'the page of the system', () => {
  const stack = new AsyncDisposableStack();
  let chromium: Browser;
  let lake: UpstreamHttp;
  let line: WatchedPlant;

  beforeAll(async () => {
    chromium = await launchChromium();
    lake = stack.use(await new UpstreamHttp().listen());
    const uplinks = { lake: { type: 'http', url: lake.url, records: ['verdict'] } };
    const notify = { shift: { type: 'webhook', url: lake.url, escalateAfter: '1h' } };
    line = stack.use(await WatchedPlant.start({ level: levelWatch }, { anonymous: 'admin' }, { uplinks, notify }));
  });
  afterAll(async () => {
    await stack.disposeAsync();
    await chromium.close();
  });

  for (const colorScheme of ['light', 'dark'] as const)
    test(`has no violation of WCAG for an administrator in ${colorScheme} colors`, async () => {
      await using screen = await ScreenPage.open(chromium, { colorScheme });
      await screen.page.goto(`${line.url}/system`);
      await screen.page.locator('#log tbody tr').first().waitFor();
      expect(await screen.violations()).toEqual([]);
      expect(screen.errors).toEqual([]);
    });

  test('shows the log by level and text, and the versions', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/system`);
    const rows = screen.page.locator('#log tbody tr');
    await screen.page.getByLabel('Search the log').fill('agent=edge');
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringContaining('Started.')]);
    await screen.page.getByLabel('Level').selectOption('error');
    await expect.poll(() => rows.count()).toBe(0);
    await expect
      .poll(() => screen.page.locator('.facts').last().textContent())
      .toContain(`node ${process.versions.node}`);
  });

  test('sends records of an uplink again, after it asked', async () => {
    await expect.poll(() => lake.stored.length).toBeGreaterThan(2);
    const first = lake.stored[0]?.id;
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/system`);
    await screen.page.locator('.rewind summary').click();
    await screen.page.locator('.rewind').getByRole('button', { name: 'Send again…' }).click();
    expect(lake.stored.filter(({ id }) => id === first)).toHaveLength(1);
    await screen.page.locator('.rewind').getByRole('button', { name: 'Send again', exact: true }).click();
    await expect.poll(() => lake.stored.filter(({ id }) => id === first).length).toBe(2);
    await expect
      .poll(() => screen.page.locator('.rewind [role="status"]').textContent())
      .toMatch(/^Records that are sent again: \d+/);
  });

  test('shows the alarms that a channel of notifications has to send, and no uplink of its name', async () => {
    line.setLevel(5);
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/system`);
    const channel = screen.page.locator('#components tr', { hasText: 'notify/shift' });
    await expect.poll(() => channel.locator('.reason').textContent()).toBe('1 alarm waits');
    await expect.poll(() => screen.page.locator('#uplinks tbody tr td:first-child').allTextContents()).toHaveLength(1);
  });

  test('downloads a backup', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/system`);
    const downloaded = screen.page.waitForEvent('download');
    await screen.page.getByRole('button', { name: 'Download a backup' }).click();
    const download = await downloaded;
    expect(download.suggestedFilename()).toMatch(/^andon-edge-.*\.tar\.gz$/);
    expect(statSync(await download.path()).size).toBeGreaterThan(1000);
  });

  test('has none of these for a viewer', async () => {
    await using other = await WatchedPlant.start(
      { level: levelWatch },
      { anonymous: 'viewer' },
      {
        uplinks: { lake: { type: 'http', url: lake.url, records: ['alarm'] } },
      },
    );
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${other.url}/system`);
    await expect.poll(() => screen.page.locator('#uplinks').textContent()).toContain('lake');
    expect(await screen.page.locator('.rewind, #log, #backup-title').count()).toBe(0);
  });
});
