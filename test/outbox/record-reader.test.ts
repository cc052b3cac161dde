import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sizeBudget } from '../../src/outbox/file/size-budget.ts';
import { recordsIn } from '../support/batch-records.ts';
import { allKinds, draft, drain, numberOf, openOutbox, openStorage, testFolder } from './outbox-fixture.ts';

test('the reader checkpoints the WAL, so that it stays near its limit while records are stored without end', () => {
  const folder = testFolder();
  const config = { maxSize: '20MB' };
  const storage = openStorage(folder, { config, uplinks: [] });
  const { walStepBytes } = sizeBudget(20e6);
  let most = 0;
  for (let number = 0; number < 8000; number += 20) {
    storage.append(...Array.from({ length: 20 }, (_, index) => draft('verdict', number + index, 500)));
    void storage.reader.upkeep({ nowMs: 0, idle: false });
    most = Math.max(most, statSync(join(folder, 'outbox.db-wal')).size);
  }
  expect(most).toBeGreaterThan(0.9 * walStepBytes);
  expect(most).toBeLessThan(1.2 * walStepBytes);
  storage.stop();
});

test('the WAL is limited without a reader too, and shrinks after its checkpoint', () => {
  const folder = testFolder();
  const storage = openStorage(folder, { config: { maxSize: '4MB' }, uplinks: [] });
  for (let number = 0; number < 1000; number += 1) storage.append(draft('verdict', number, 2000));
  const walBytes = () => statSync(join(folder, 'outbox.db-wal')).size;
  expect(walBytes(), 'without a reader, the connection that commits limits it').toBeLessThan(
    4 * sizeBudget(4e6).walStepBytes,
  );
  void storage.reader.upkeep({ nowMs: 0, idle: false });
  storage.append(draft('verdict', 1000));
  expect(walBytes()).toBeLessThanOrEqual(1.05 * sizeBudget(4e6).walStepBytes);
  storage.stop();
});

test('a read fails as retryable while the file is missing', () => {
  const folder = testFolder();
  const storage = openStorage(folder);
  storage.append(draft('verdict', 1));
  storage.stop();
  rmSync(join(folder, 'outbox.db'));
  const query = { watch: 'pump-1', kind: 'verdict' as const, fromMs: 0, toMs: 1e15, limit: 1 };
  expect(() => storage.history(query)).toThrow(
    expect.objectContaining({ code: 'outbox-unavailable', disposition: 'retry' }),
  );
});

test('records stay readable in their order when the outbox is used by a reader thread of its own', async () => {
  const outbox = await openOutbox({ folder: testFolder() });
  await outbox.append(Array.from({ length: 700 }, (_, index) => draft('verdict', index)));
  expect((await drain(outbox)).map(numberOf)).toEqual(Array.from({ length: 700 }, (_, index) => index));
  const found = await outbox.history({ watch: 'pump-1', kind: 'verdict', fromMs: 0, toMs: 1e15, limit: 3 });
  expect(found.map(numberOf)).toEqual([0, 1, 2]);
});

test('an uplink that has no more records keeps the memory of its last read for the next one', async () => {
  const outbox = await openOutbox({ folder: testFolder() });
  const limits = { recordsMax: 10, bytesMax: 1e6 };
  const request = {
    uplink: 'cloud',
    lane: 'backlog',
    kinds: allKinds,
    limits,
    batchesMax: 1,
    after: undefined,
  } as const;
  await outbox.append([draft('verdict', 1)]);
  const first = await outbox.readers.read(request);
  const memory = (batches: typeof first) => new Uint8Array(batches[0]?.json.buffer ?? new ArrayBuffer(0));
  // Behind the JSON, which the reader does not write.
  const mark = memory(first).length - 1;
  memory(first)[mark] = 77;
  await outbox.readers.acknowledge('cloud', first);
  expect(await outbox.readers.read(request)).toEqual([]);
  await outbox.append([draft('verdict', 2)]);
  expect(memory(await outbox.readers.read(request))[mark]).toBe(77);
});

test('reads that follow each other get every record once and in order from the ranges of fewer claims', async () => {
  const outbox = await openOutbox({ folder: testFolder() });
  await outbox.append(Array.from({ length: 120 }, (_, index) => draft('verdict', index)));
  const found: number[] = [];
  let after: number | undefined;
  for (;;) {
    const limits = { recordsMax: 50, bytesMax: 700 };
    const request = { uplink: 'cloud', lane: 'backlog', kinds: allKinds, limits, batchesMax: 2, after } as const;
    const batches = await outbox.readers.read(request);
    if (batches.length === 0) break;
    expect(batches.length).toBeLessThanOrEqual(2);
    found.push(...recordsIn(batches).map(numberOf));
    after = batches.at(-1)?.last.sequence;
    await outbox.readers.acknowledge('cloud', batches);
  }
  expect(found).toEqual(Array.from({ length: 120 }, (_, index) => index));
  expect((await outbox.stats()).uplinks.find(({ uplink }) => uplink === 'cloud')?.waiting).toBe(0);
});
