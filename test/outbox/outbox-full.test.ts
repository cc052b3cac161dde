import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type RecordKind, recordKinds, type StoredRecord } from '../../src/domain/record/record.ts';
import { dropOrder } from '../../src/outbox/records/record-space.ts';
import {
  alarmDraft,
  cloud,
  draft,
  drainStorage,
  numberOf,
  openStorage,
  smallDisk,
  testFolder,
  type TestStorage,
} from './outbox-fixture.ts';

const day = 86_400_000;
const base = 1_800_000_000_000;

/** Appends until the outbox holds some twice its size. @returns What append said of each. */
function overfill(storage: TestStorage, kindOf: (number: number) => RecordKind, count = 2400): (string | undefined)[] {
  const ids: (string | undefined)[] = [];
  for (let number = 0; number < count; number += 20)
    ids.push(
      ...storage.append(
        ...Array.from({ length: 20 }, (_, index) => draft(kindOf(number + index), number + index, 800)),
      ),
    );
  return ids;
}

/** Size of all files of the outbox. */
function filesBytes(folder: string): number {
  return ['', '-wal', '-shm'].reduce((sum, suffix) => sum + statSync(join(folder, `outbox.db${suffix}`)).size, 0);
}

function numbers(records: readonly StoredRecord[], kind: RecordKind): readonly number[] {
  return records.filter((record) => record.kind === kind).map(numberOf);
}

function lost(records: readonly StoredRecord[]): number {
  return records
    .filter(({ kind }) => kind === 'loss')
    .reduce((total, { body }) => total + (JSON.parse(body) as { readonly count: number }).count, 0);
}

describe('the outbox is full', () => {
  const config = { maxSize: '1MB' };

  test.each([1e6, 4e6, 20e6])('the database, its WAL and its index of the WAL stay within %i bytes', (maxSize) => {
    const folder = testFolder();
    const storage = openStorage(folder, { config: { maxSize: `${maxSize}B` } });
    let most = 0;
    for (let number = 0; number < (2.2 * maxSize) / 800; number += 20) {
      storage.append(...Array.from({ length: 20 }, (_, index) => draft('verdict', number + index, 800)));
      // About once a second, as the reader worker does.
      if (number % 400 === 0) void storage.reader.upkeep({ nowMs: 0, idle: false });
      most = Math.max(most, filesBytes(folder));
    }
    const { bytes, bytesMax } = storage.stats();
    expect(bytes).toBeLessThanOrEqual(bytesMax);
    expect(storage.stats().lost).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(maxSize);
    expect(bytesMax, 'the WAL takes a small part').toBeGreaterThan(0.69 * maxSize);
    storage.stop();
  });

  test('samples go first, and every record that went is counted in what is sent upstream', () => {
    const storage = openStorage(testFolder(), { config });
    const verdicts = 300;
    overfill(storage, (number) => (number % 8 === 0 ? 'verdict' : 'sample'));
    storage.upkeep(base + 20_000);
    const sent = drainStorage(storage);
    expect(numbers(sent, 'verdict')).toHaveLength(verdicts);
    const samples = numbers(sent, 'sample');
    expect(samples.length).toBeLessThan(2400 - verdicts);
    expect(samples.at(-1), 'the newest is kept').toBe(2399);
    expect(lost(sent)).toBe(2400 - verdicts - samples.length);
    storage.stop();
  });

  test('a sample never pushes out a verdict; it is dropped itself, and that is counted', () => {
    const storage = openStorage(testFolder(), { config });
    overfill(storage, () => 'verdict');
    storage.upkeep(base + 20_000);
    const before = storage.stats().lost;
    expect(storage.append(...Array.from({ length: 500 }, (_, index) => draft('sample', index, 800)))).toContain(
      undefined,
    );
    expect(storage.stats().lost).toBeGreaterThan(before);
    storage.stop();
  });

  test('alarms outlive telemetry of any amount', () => {
    const storage = openStorage(testFolder(), { config });
    storage.append(alarmDraft(1));
    overfill(storage, () => 'verdict');
    storage.append(alarmDraft(2));
    expect(numbers(drainStorage(storage), 'alarm')).toEqual([1, 2]);
    storage.stop();
  });

  test('drop-oldest drops by age, for every kind except alarms', () => {
    const storage = openStorage(testFolder(), { config: { ...config, onFull: 'drop-oldest' } });
    overfill(storage, (number) => (number < 200 ? 'verdict' : 'sample'));
    const sent = drainStorage(storage);
    expect(numbers(sent, 'verdict')).toEqual([]);
    expect(numbers(sent, 'sample').at(-1)).toBe(2399);
    storage.stop();
  });

  test('reject-new keeps what it has and refuses; an alarm still finds room', () => {
    const storage = openStorage(testFolder(), { config: { ...config, onFull: 'reject-new' } });
    const ids = overfill(storage, () => 'verdict');
    const stored = ids.filter((id) => id !== undefined).length;
    expect(stored).toBeLessThan(2400);
    expect(storage.append(alarmDraft(1))[0]).toMatch(/^edge-01\//);
    const sent = drainStorage(storage);
    expect(numbers(sent, 'verdict')).toHaveLength(stored);
    expect(lost(sent)).toBe(0);
    storage.stop();
  });

  test('room is made for the UTF-8 bytes of a record, not for its characters', () => {
    const storage = openStorage(testFolder(), { config: { maxSize: '4MB' } });
    overfill(storage, () => 'sample', 5000);
    const celsius = { ...draft('verdict', 1), body: { text: '℃'.repeat(800) } };
    expect(storage.append(...Array.from({ length: 600 }, () => celsius))).not.toContain(undefined);
    storage.stop();
  });

  test('24 pages are reserved for alarms when nothing else finds room', () => {
    const storage = openStorage(testFolder(), { config: { ...config, onFull: 'reject-new' } });
    for (const size of [800, 0]) while (storage.append(draft('verdict', 1, size))[0] !== undefined);
    const freePages = () => (storage.stats().bytesMax - storage.stats().bytes) / 4096;
    expect(freePages()).toBeGreaterThanOrEqual(32);
    expect(freePages()).toBeLessThan(34);
    let alarms = 0;
    while (alarms < 10_000 && storage.append(alarmDraft(alarms + 1))[0] !== undefined) alarms += 1;
    expect(freePages()).toBeGreaterThanOrEqual(8);
    expect(freePages()).toBeLessThan(10);
    expect(numbers(drainStorage(storage), 'alarm')).toHaveLength(alarms);
    storage.stop();
  });

  test('what every uplink has makes room before anything is lost', () => {
    const storage = openStorage(testFolder(), { config });
    for (let round = 0; round < 10; round += 1) {
      overfill(storage, () => 'verdict', 300);
      drainStorage(storage);
    }
    expect(storage.stats().lost).toBe(0);
    storage.stop();
  });

  test('alarms go for alarms only', () => {
    for (const onFull of ['drop-samples-first', 'drop-oldest', 'reject-new'] as const)
      for (const newcomer of ['sample', 'verdict'] as const)
        expect(dropOrder(onFull, newcomer).flat()).not.toContain('alarm');
  });
});

describe('retention', () => {
  test('delivered records go by age; what waits stays however old it is', () => {
    const storage = openStorage(testFolder(), { config: { retention: '7d' }, uplinks: [cloud] });
    storage.append(...[1, 2, 3, 4].map((number) => draft('verdict', number)));
    storage.acknowledge(storage.read('backlog', 2));
    for (let slices = 0; storage.upkeep(base + 8 * day).more && slices < 100; slices += 1);
    expect(storage.stats().records).toBe(2);
    expect(drainStorage(storage).map(numberOf)).toEqual([3, 4]);
    storage.stop();
  });

  test('a kind that no uplink takes is not kept for one that is down', () => {
    const storage = openStorage(testFolder(), { uplinks: [{ id: 'cloud', kinds: ['alarm'] }] });
    storage.append(draft('sample', 1), draft('alarm', 2));
    for (let slices = 0; storage.upkeep(base + 8 * day).more && slices < 100; slices += 1);
    expect(storage.stats().records).toBe(1);
    storage.stop();
  });
});

describe('the disk itself is full', () => {
  test('appends are refused as retryable, and work again by themselves once there is space', ({ skip }) => {
    const folder = smallDisk();
    if (folder === undefined) return skip('needs the right to mount a tmpfs');
    const storage = openStorage(folder);
    onTestFinished(() => storage.stop());
    const [before] = storage.append(draft('verdict', 1));
    const ballast = join(folder, 'ballast');
    fill(ballast);
    expect(() => overfill(storage, () => 'verdict')).toThrow(
      expect.objectContaining({ code: 'outbox-unavailable', message: expect.stringContaining('No space') as unknown }),
    );
    expect(storage.upkeep().outbox.status).toBe('degraded');
    writeFileSync(ballast, '');
    expect(storage.upkeep().outbox, 'without anyone appending').toEqual({ status: 'ok', reason: undefined });
    const [after] = storage.append(draft('verdict', 2));
    expect(storage.read('backlog', 10_000).map(({ id }) => id)).toContain(before);
    expect(storage.stats().lost).toBe(0);
    expect(after).not.toBe(before);
  });

  function fill(path: string): void {
    for (const bytes of [65_536, 4096]) {
      let full = false;
      while (!full) {
        try {
          writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
        } catch {
          full = true;
        }
      }
    }
  }
});

test('every kind has its place in the order, except losses, which stay', () => {
  const kinds = recordKinds.filter((kind) => kind !== 'loss');
  expect(new Set(dropOrder('drop-samples-first', 'alarm').flat())).toEqual(new Set(kinds));
});
