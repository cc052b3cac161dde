import { describe, expect, test } from 'vitest';
import type { RecordKind } from '../../src/domain/record/record.ts';
import type { UplinkInterest } from '../../src/outbox/file/storage-protocol.ts';
import { testDeps } from '../support/test-deps.ts';
import {
  alarmDraft,
  draft,
  drain,
  numberOf,
  openOutbox,
  openStorage,
  testFolder,
  type TestStorage,
} from './outbox-fixture.ts';

/*
 * Uplinks that are added, removed, or take other kinds while the outbox runs. Invariant: each gets what it would get if the
 * agent had started with the new configuration, also after a crash around the change.
 */
const nowMs = 1_800_000_000_000;
const alarms: readonly RecordKind[] = ['alarm', 'loss'];
const both: readonly RecordKind[] = ['alarm', 'verdict', 'loss'];

const change = (storage: TestStorage, uplinks: readonly UplinkInterest[]): void =>
  void storage.handlers.uplinks({ uplinks, nowMs });

function received(storage: TestStorage, id: string, kinds: readonly RecordKind[]): readonly number[] {
  const records = storage.read('backlog', 500, id, kinds);
  storage.acknowledge(records, id);
  return records.map(numberOf);
}

describe.each([
  { how: 'while the outbox runs', restart: 'no' },
  { how: 'before a crash', restart: 'crash' },
  { how: 'while the agent is stopped', restart: 'stop' },
] as const)('uplinks that change $how', ({ restart }) => {
  /** Applies other uplinks. */
  function changed(storage: TestStorage, folder: string, uplinks: readonly UplinkInterest[]): TestStorage {
    if (restart !== 'stop') change(storage, uplinks);
    if (restart === 'stop') storage.stop();
    return restart === 'no' ? storage : openStorage(folder, { uplinks });
  }

  test('a new one begins with the oldest record, and the others keep their positions', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks: [{ id: 'a', kinds: both }] });
    first.append(draft('verdict', 1), draft('verdict', 2));
    expect(received(first, 'a', both)).toEqual([1, 2]);
    first.append(draft('verdict', 3));
    const storage = changed(first, folder, [
      { id: 'a', kinds: both },
      { id: 'b', kinds: both },
    ]);
    expect(received(storage, 'a', both)).toEqual([3]);
    expect(received(storage, 'b', both)).toEqual([1, 2, 3]);
    expect(storage.stats().uplinks.map(({ uplink }) => uplink)).toEqual(['a', 'b']);
  });

  test('a removed one holds nothing back, and continues at its position when it returns', () => {
    const folder = testFolder();
    const config = { retention: '1s' };
    const uplinks = [
      { id: 'a', kinds: both },
      { id: 'b', kinds: both },
    ];
    const first = openStorage(folder, { uplinks, config });
    first.append(draft('verdict', 1), draft('verdict', 2));
    expect(received(first, 'b', both)).toEqual([1, 2]);
    first.append(draft('verdict', 3));
    const without = changed(first, folder, uplinks.slice(0, 1));
    expect(() => without.read('backlog', 500, 'b')).toThrow(/No uplink 'b'/);
    without.append(draft('verdict', 4));
    const storage = changed(without, folder, uplinks);
    expect(received(storage, 'b', both)).toEqual([3, 4]);
  });

  test('one that takes a further kind gets it from its first waiting record on', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks: [{ id: 'a', kinds: alarms }] });
    first.append(draft('verdict', 1), alarmDraft(2), draft('verdict', 3), alarmDraft(4), draft('verdict', 5));
    const records = first.read('backlog', 1, 'a', alarms);
    first.acknowledge(records, 'a');
    first.upkeep(nowMs + 1000);
    const storage = changed(first, folder, [{ id: 'a', kinds: both }]);
    storage.append(draft('verdict', 6));
    expect(received(storage, 'a', both)).toEqual([4, 5, 6]);
  });

  test('one that waits for nothing gets a further kind from the change on', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks: [{ id: 'a', kinds: alarms }] });
    first.append(alarmDraft(1), draft('verdict', 2));
    expect(received(first, 'a', alarms)).toEqual([1]);
    first.append(draft('verdict', 3));
    const storage = changed(first, folder, [{ id: 'a', kinds: both }]);
    storage.append(draft('verdict', 4), alarmDraft(5));
    expect(received(storage, 'a', both)).toEqual([4, 5]);
  });

  test('one that takes a kind no more leaves its records, and counts none of them as lost', () => {
    const folder = testFolder();
    const config = { maxSize: '1MB', onFull: 'drop-oldest' };
    const first = openStorage(folder, { uplinks: [{ id: 'a', kinds: both }], config });
    first.append(draft('verdict', 1), alarmDraft(2));
    const storage = changed(first, folder, [{ id: 'a', kinds: alarms }]);
    expect(received(storage, 'a', alarms)).toEqual([2]);
    expect(storage.stats().uplinks).toMatchObject([{ uplink: 'a', waiting: 0 }]);
    for (let number = 10; number < 2000; number += 100)
      storage.append(...Array.from({ length: 100 }, (_, index) => draft('verdict', number + index, 900)));
    storage.upkeep(nowMs + 60_000);
    expect(received(storage, 'a', alarms)).toEqual([]);
  });
});

test('a lost record counts for the uplinks at the time of its loss', () => {
  const storage = openStorage(testFolder(), { uplinks: [{ id: 'a', kinds: both }] });
  change(storage, [
    { id: 'a', kinds: both },
    { id: 'b', kinds: both },
  ]);
  const refusal = { kind: 'verdict', reason: 'outbox-queue-full', count: 2, fromMs: nowMs, toMs: nowMs, watches: {} };
  void storage.handlers.lost({ life: 'x', number: 1, losses: [refusal as never], nowMs });
  change(storage, [{ id: 'b', kinds: both }]);
  storage.upkeep(nowMs + 60_000);
  expect(storage.read('backlog', 500, 'b').map(({ kind }) => kind)).toEqual(['loss']);
  // The loss record of the removed uplink waits for its return.
  change(storage, [{ id: 'a', kinds: both }]);
  expect(storage.read('backlog', 500, 'a').map(({ kind }) => kind)).toEqual(['loss']);
});

test('a storage worker that replaces another one has the changed uplinks', async () => {
  const folder = testFolder();
  const entry = new URL('dying-storage-worker.ts', import.meta.url);
  const outbox = await openOutbox({ folder, uplinks: [{ id: 'a', kinds: both }], entry });
  await outbox.readers.change([{ id: 'b', kinds: both }]);
  await outbox.append([draft('verdict', 1)]);
  expect((await drain(outbox, { uplink: 'b', kinds: both })).map(numberOf)).toEqual([1]);
  await expect(drain(outbox, { uplink: 'a', kinds: both })).rejects.toThrow(/No uplink 'a'/);
});

test('uplinks that change while no worker runs are sent to the next one', async () => {
  const folder = testFolder();
  const entry = new URL('dying-storage-worker.ts', import.meta.url);
  const deps = testDeps();
  const outbox = await openOutbox({ folder, uplinks: [{ id: 'a', kinds: both }], entry, deps });
  const appended = outbox.append([draft('verdict', 1)]);
  const health = () => deps.health.components().find(({ name }) => name === 'outbox');
  await expect.poll(() => health()?.status).toBe('degraded');
  await outbox.readers.change([{ id: 'b', kinds: both }]);
  await appended;
  await expect
    .poll(() =>
      drain(outbox, { uplink: 'b', kinds: both }).then(
        (records) => records.map(numberOf),
        () => [],
      ),
    )
    .toEqual([1]);
});
