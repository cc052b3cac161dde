import { readFileSync, writeFileSync } from 'node:fs';
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
  for (let slices = 0; third.upkeep().more && slices < 1000; slices += 1);
  third.upkeep(1_800_000_100_000);
  const sent = drainStorage(third);
  const arrived = new Set(sent.map(({ id }) => id));
  const losses = sent
    .filter(({ kind }) => kind === 'loss')
    .map(({ body }) => JSON.parse(body) as { readonly epoch: string; readonly count: number; readonly reason: string });
  for (const epoch of [first.opened.epoch, second.opened.epoch]) {
    const missing = ids.filter((id) => id.split('/')[1] === epoch && !arrived.has(id)).length;
    expect(missing).toBeGreaterThan(0);
    expect(losses.filter((loss) => loss.epoch === epoch)).toMatchObject([
      { reason: 'database-damaged', count: missing },
    ]);
  }
  third.stop();
});
