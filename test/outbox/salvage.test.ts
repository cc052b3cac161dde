import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { draft, drainStorage, openStorage, testFolder } from './outbox-fixture.ts';

/** Fills pages in the middle of the rows, so that the file is damaged and some rows cannot be read. */
function damage(folder: string, pages: readonly [number, number]): void {
  const path = join(folder, 'outbox.db');
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096 * pages[0], 4096 * pages[1]);
  writeFileSync(path, bytes);
}

/** Makes the whole file unreadable. */
function destroy(folder: string): void {
  for (const name of ['outbox.db', 'outbox.db-wal'])
    if (readdirSync(folder).includes(name)) writeFileSync(join(folder, name), Buffer.alloc(8192, 0xff));
}

function appendMany(storage: ReturnType<typeof openStorage>, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => storage.append(draft('verdict', index + 1, 200))[0] ?? '');
}

/** Salvages all files. @returns What an uplink receives. */
function salvaged(storage: ReturnType<typeof openStorage>) {
  for (let slices = 0; storage.upkeep().more && slices < 1000; slices += 1);
  storage.upkeep(1_800_000_100_000);
  const sent = drainStorage(storage);
  const losses = sent
    .filter(({ kind }) => kind === 'loss')
    .map(({ body }) => JSON.parse(body) as { readonly epoch: string; readonly count: number; readonly reason: string });
  return { ids: new Set(sent.map(({ id }) => id)), losses };
}

test('a file that is damaged before the first is salvaged, and cannot be read, hides no loss of the first', () => {
  const folder = testFolder();
  const first = openStorage(folder);
  const ids = appendMany(first, 200);
  first.stop();
  damage(folder, [20, 21]);
  const second = openStorage(folder);
  const secondIds = appendMany(second, 50);
  second.stop();
  destroy(folder);

  const third = openStorage(folder);
  const { ids: arrived, losses } = salvaged(third);
  const missing = ids.filter((id) => !arrived.has(id)).length;
  expect(missing).toBeGreaterThan(0);
  expect(missing).toBeLessThan(200);
  expect(losses.filter(({ epoch }) => epoch === first.opened.epoch)).toMatchObject([{ count: missing }]);
  expect(losses.filter(({ epoch }) => epoch === second.opened.epoch)).toMatchObject([
    // With the record of its start.
    { count: secondIds.length + 1 },
  ]);
  third.stop();
});

test('a file in quarantine is kept until it is salvaged, however many follow it', () => {
  const folder = testFolder();
  const quarantined = (): number => readdirSync(join(folder, 'outbox.db.quarantine')).length;
  const ids: string[] = [];
  for (let life = 0; life < 6; life += 1) {
    const storage = openStorage(folder);
    ids.push(...appendMany(storage, 100));
    storage.stop();
    damage(folder, [10, 11]);
  }
  const last = openStorage(folder);
  expect(quarantined()).toBe(6);
  const { ids: arrived, losses } = salvaged(last);
  const missing = ids.filter((id) => !arrived.has(id)).length;
  expect(missing).toBeLessThan(ids.length / 2);
  expect(losses.reduce((sum, { count }) => sum + count, 0)).toBe(missing);
  appendMany(last, 100);
  last.stop();
  damage(folder, [10, 11]);

  // All others are salvaged: two of them are kept for analysis, next to the new one.
  openStorage(folder).stop();
  expect(quarantined()).toBe(3);
});

test('two files that are damaged before the first is salvaged have each missing record in a loss record', () => {
  const folder = testFolder();
  const first = openStorage(folder);
  const ids = Array.from({ length: 200 }, (_, index) => first.append(draft('verdict', index + 1, 200))[0] ?? '');
  first.stop();
  damage(folder, [20, 21]);
  const second = openStorage(folder);
  ids.push(...Array.from({ length: 200 }, (_, index) => second.append(draft('verdict', index + 201, 200))[0] ?? ''));
  second.stop();
  damage(folder, [20, 22]);

  const third = openStorage(folder);
  const { ids: arrived, losses } = salvaged(third);
  for (const epoch of [first.opened.epoch, second.opened.epoch]) {
    const missing = ids.filter((id) => id.split('/')[1] === epoch && !arrived.has(id)).length;
    expect(missing).toBeGreaterThan(0);
    expect(losses.filter((loss) => loss.epoch === epoch)).toMatchObject([
      { reason: 'database-damaged', count: missing },
    ]);
  }
  third.stop();
});
