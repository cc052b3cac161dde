import { afterAll, beforeAll, expect, test } from 'vitest';
import { levelWatch, WatchedPlant } from '../screen/screen-page.ts';

type Listed = { readonly complete: boolean; readonly annotations: readonly { readonly id: string }[] };

let line: WatchedPlant;

beforeAll(async () => {
  line = await WatchedPlant.start({ level: levelWatch, other: levelWatch });
});
afterAll(() => line[Symbol.asyncDispose]());

const list = async (query = ''): Promise<Listed> =>
  (await (await fetch(`${line.url}/api/v1/annotations${query}`)).json()) as Listed;
const texts = async (query: string) =>
  (await list(query)).annotations.map((each) => (each as unknown as { text: string }).text);
const post = (body: object) =>
  fetch(`${line.url}/api/v1/annotations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

test('notes and labelled periods are stored with their author, listed by watch, time and label, and outlive a restart', async () => {
  const added = await post({ watch: 'level', from_ms: 1000, label: 'note', text: 'bearing changed' });
  expect([added.status, await added.json()]).toEqual([
    201,
    {
      id: expect.any(String) as string,
      watch: 'level',
      from_ms: 1000,
      to_ms: 1000,
      label: 'note',
      text: 'bearing changed',
      actor: 'anonymous',
      at_ms: expect.any(Number) as number,
      removed: null,
    },
  ]);
  await post({ watch: 'level', from_ms: 2000, to_ms: 5000, label: 'fault', text: 'seal leaks' });
  await post({ watch: 'other', from_ms: 2000, to_ms: 3000, label: 'normal', text: 'recipe B' });
  await line.agent?.end('SIGKILL');
  await line.startAgent();
  expect(await texts('')).toEqual(['recipe B', 'seal leaks', 'bearing changed']);
  expect(await texts('?watch=level')).toEqual(['seal leaks', 'bearing changed']);
  expect(await texts('?label=fault')).toEqual(['seal leaks']);
  expect(await texts('?from=4000&to=9000')).toEqual(['seal leaks']);
  expect(await list('?limit=1')).toMatchObject({ complete: false, annotations: [{ text: 'recipe B' }] });
});

test('a removed one is marked, and never lost', async () => {
  const { id } = (await (await post({ watch: 'level', from_ms: 1, label: 'note', text: 'wrong' })).json()) as {
    id: string;
  };
  const remove = (path: string) => fetch(`${line.url}/api/v1/annotations/${path}`, { method: 'DELETE' });
  const removed = { actor: 'anonymous', at_ms: expect.any(Number) as number };
  const first = (await (await remove(id)).json()) as object;
  expect(first).toMatchObject({ id, removed });
  // Who removed it first stays.
  expect(await (await remove(id)).json()).toEqual(first);
  expect(await texts('?to=10')).toEqual([]);
  expect((await list('?to=10&removed=true')).annotations).toMatchObject([{ id, text: 'wrong', removed }]);
  expect((await remove('nothing')).status).toBe(404);
});

test('what cannot be right is refused', async () => {
  const status = async (body: object) => (await post({ watch: 'level', label: 'note', from_ms: 1, ...body })).status;
  expect(await status({ watch: 'nothing' })).toBe(404);
  expect(await status({ from_ms: 2, to_ms: 1 })).toBe(400);
  expect(await status({ label: 'odd' })).toBe(400);
  expect(await status({ text: 'x'.repeat(501) })).toBe(400);
});
