import { afterAll, beforeAll, expect, test } from 'vitest';
import { levelWatch, WatchedPlant } from '../screen/screen-page.ts';

let line: WatchedPlant;

beforeAll(async () => {
  line = await WatchedPlant.start({ level: levelWatch });
  line.setLevel(5);
});
afterAll(() => line[Symbol.asyncDispose]());

const get = (path: string, accepted = 'identity') =>
  fetch(line.url + path, { headers: { 'accept-encoding': accepted } });
const json = async (path: string) => (await (await get(path)).json()) as Record<string, unknown>;

test('the journal has the newest changes of all alarms, and says if there are more', async () => {
  await expect
    .poll(() => json('/api/v1/alarms/journal'))
    .toMatchObject({ complete: true, changes: [{ alarm: 'watch/level', state: 'unacknowledged' }] });
  const body = JSON.stringify({ by: 'anna' });
  const headers = { 'content-type': 'application/json' };
  await fetch(`${line.url}/api/v1/alarms/watch/level/acknowledge`, { method: 'POST', headers, body });
  await expect
    .poll(() => json('/api/v1/alarms/journal?limit=1'))
    .toMatchObject({ complete: false, changes: [{ change: 'acknowledged', by: 'anna' }] });
  const { next } = await json('/api/v1/alarms/journal?limit=1');
  expect(await json(`/api/v1/alarms/journal?limit=1&cursor=${String(next)}`)).toMatchObject({
    complete: true,
    next: null,
    changes: [{ change: 'score-above-threshold' }],
  });
  expect((await get('/api/v1/alarms/journal?cursor=1')).status).toBe(400);
  expect((await get('/api/v1/alarms/journal?from=2&to=1')).status).toBe(400);
});

test('the history has any tags, and refuses unknown ones and too many points', async () => {
  await expect
    .poll(() => json('/api/v1/history?tags=level,calm'))
    .toMatchObject({ resolution: 'samples', tags: [{ tag: 'level' }, { tag: 'calm' }] });
  const status = async (query: string) => (await get(`/api/v1/history?${query}`)).status;
  expect(await status('tags=level&resolution=1h')).toBe(200);
  expect(await status('tags=level,nothing')).toBe(404);
  expect(await status('tags=level&from=0&resolution=1m')).toBe(400);
  expect(await status(`tags=${Array.from({ length: 17 }, (_, index) => index).join(',')}`)).toBe(400);
});

test('a large answer is compressed for a client that accepts it, and a small one is not', async () => {
  const encoding = async (path: string, accepted: string) =>
    (await get(path, accepted)).headers.get('content-encoding');
  expect(await encoding('/api/v1/openapi.json', 'gzip')).toBe('gzip');
  expect(await encoding('/api/v1/openapi.json', 'identity')).toBe(null);
  expect(await encoding('/healthz', 'gzip')).toBe(null);
  expect(await (await get('/api/v1/openapi.json', 'gzip')).json()).toMatchObject({
    info: { title: 'andon agent edge' },
  });
});

test('files of the page are cached for ever, its document is not, and both are compressed', async () => {
  const page = await get('/', 'gzip, br');
  expect([page.headers.get('cache-control'), page.headers.get('content-encoding')]).toEqual(['no-cache', 'br']);
  const script = /src="(\/assets\/[^"]+)"/.exec(await page.text())?.[1] ?? '';
  const { headers, status } = await get(script, 'gzip');
  expect([status, headers.get('cache-control'), headers.get('content-encoding')]).toEqual([
    200,
    'public, max-age=31536000, immutable',
    'gzip',
  ]);
  expect((await get('/assets/../index.html')).status).toBe(404);
});
