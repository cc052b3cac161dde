import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { launchChromium } from '../support/browser.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';

describeWith(['chromium'], 'what happened', () => {
  let chromium: Browser;
  let line: WatchedPlant;

  beforeAll(async () => {
    chromium = await launchChromium();
    line = await WatchedPlant.start({ level: levelWatch, other: { ...levelWatch, alarm: { priority: 'high' } } });
    await allAre('normal');
    line.setLevel(5);
    await allAre('unacknowledged');
    const shelving = { duration: '1h', comment: 'sensor is loose', by: 'anna' };
    await post('other/shelve', shelving);
    line.setLevel(0);
    await until(async () => (await journal()).length === 5);
  });
  afterAll(async () => {
    await line[Symbol.asyncDispose]();
    await chromium.close();
  });

  const post = (path: string, body: object) =>
    fetch(`${line.url}/api/v1/alarms/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  type Listed = { readonly alarm: string; readonly state: string };
  const listed = async () => ((await (await fetch(`${line.url}/api/v1/alarms`)).json()) as { alarms: Listed[] }).alarms;
  const journal = async () =>
    ((await (await fetch(`${line.url}/api/v1/alarms/journal`)).json()) as { changes: object[] }).changes;
  const until = (reached: () => Promise<boolean>) => vi.waitUntil(reached, { timeout: 60_000 });
  const allAre = (state: string) => until(async () => (await listed()).every((alarm) => alarm.state === state));

  test('the journal lists every change, the newest first, filters and searches them, and writes CSV', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/alarms/journal`);
    const rows = screen.page.locator('#journal tbody tr');
    await expect.poll(() => rows.count()).toBe(5);
    const changes = await rows.locator('.change').allTextContents();
    expect(changes.slice(0, 3)).toEqual(['returned to normal', 'returned to normal', 'shelved']);
    expect(await rows.nth(2).textContent()).toMatch(/other.*anna.*sensor is loose/);
    await screen.page.getByLabel('Priority').selectOption('high');
    await expect.poll(() => rows.count()).toBe(3);
    await screen.page.getByLabel('Search alarm, person, text').fill('anna loose');
    await expect.poll(() => rows.count()).toBe(1);
    const downloaded = screen.page.waitForEvent('download');
    await screen.page.getByRole('button', { name: 'CSV' }).click();
    const lines = readFileSync((await (await downloaded).path()) ?? '', 'utf8')
      .trim()
      .split('\r\n');
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/,watch\/other,high,shelved,unacknowledged,shelved,.*,anna,sensor is loose$/);
    expect(screen.errors).toEqual([]);
  });

  test('the statistics count raised alarms', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/alarms/statistics`);
    await expect.poll(() => screen.page.locator('.cards dd').first().textContent()).toBe('2 ');
    expect(screen.errors).toEqual([]);
  });

  test('the page of a watch draws score and tags, and follows', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/machine/level`);
    await expect.poll(() => screen.page.locator('.chart canvas').count()).toBe(2);
    await expect.poll(() => screen.page.locator('h1').textContent()).toBe('level');
    const reading = screen.page.locator('.reading');
    await expect.poll(() => reading.textContent()).toBe('0 ');
    line.setLevel(1);
    await expect.poll(() => reading.textContent()).toBe('1 ');
    line.setLevel(0);
    await screen.page.locator('.chart').first().hover();
    await screen.page.getByRole('button', { name: '7 days' }).click();
    await expect.poll(() => new URL(screen.page.url()).searchParams.get('range')).toBe('7d');
    expect(screen.errors).toEqual([]);
  });

  test('a person records a note and a fault on the page of a watch, and removes one', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/machine/level`);
    const rows = screen.page.locator('#annotations li');
    await screen.page.getByLabel('What happened').fill('bearing changed');
    await screen.page.getByRole('button', { name: 'Record' }).click();
    await expect.poll(() => rows.count()).toBe(1);
    expect(await rows.first().textContent()).toMatch(/^Note .*bearing changed.*anonymous/);
    await screen.page.getByLabel('Kind').selectOption('fault');
    await screen.page.getByRole('button', { name: 'Record' }).click();
    await expect.poll(() => rows.count()).toBe(2);
    expect(await screen.violations()).toEqual([]);
    await rows.first().getByRole('button', { name: 'Remove' }).click();
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringMatching(/^Note /)]);
    expect(screen.errors).toEqual([]);
  });

  test('trends draw any tags, the address has them, and dragging zooms', async () => {
    await using screen = await ScreenPage.open(chromium);
    await screen.page.goto(`${line.url}/trends?range=15m`);
    await screen.page.getByLabel('Add a tag').fill('level');
    await expect.poll(() => new URL(screen.page.url()).searchParams.get('tags')).toBe('level');
    await screen.page.getByLabel('Add a tag').fill('count');
    await expect.poll(() => new URL(screen.page.url()).searchParams.get('tags')).toBe('level,count');
    // The chart is made again for each tag.
    await expect
      .poll(() => screen.page.locator('.u-legend .u-label').allTextContents())
      .toEqual(['Time', 'level', 'count']);
    const chart = screen.page.locator('.u-over');
    const box = (await chart.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    await screen.page.mouse.move(box.x + 100, box.y + 50);
    await screen.page.mouse.down();
    await screen.page.mouse.move(box.x + 300, box.y + 50, { steps: 5 });
    await screen.page.mouse.up();
    await expect.poll(() => new URL(screen.page.url()).searchParams.has('from')).toBe(true);
    const { searchParams } = new URL(screen.page.url());
    const rangeMs = Number(searchParams.get('to')) - Number(searchParams.get('from'));
    expect(rangeMs / 900_000).toBeCloseTo(200 / box.width, 1);
    expect(screen.errors).toEqual([]);
  });
});
