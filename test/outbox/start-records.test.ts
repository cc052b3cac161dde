import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RecordKind } from '../../src/domain/record/record.ts';
import { HighWaterFile } from '../../src/outbox/file/high-water.ts';
import { allKinds, draft, openStorage, testFolder, type TestStorage } from './outbox-fixture.ts';

const start = 1_800_000_000_000;

describe('a start of the agent', () => {
  const startKinds: readonly RecordKind[] = [...allKinds, 'start'];
  const uplinks = [{ id: 'cloud', kinds: startKinds }];
  const startsOf = (storage: TestStorage): readonly unknown[] =>
    storage
      .read('backlog', 100, 'cloud', startKinds)
      .filter(({ kind }) => kind === 'start')
      .map(({ body }) => JSON.parse(body) as unknown);

  test('after a clean stop is a record with the time without records', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks, life: 'a' });
    expect(startsOf(first), 'an outbox that is new has no past').toEqual([]);
    first.append(draft('verdict', 5));
    first.stop();
    const second = openStorage(folder, { uplinks, life: 'b', nowMs: start + 60_000 });
    expect(startsOf(second)).toMatchObject([
      { reason: 'clean-stop', last_record_ms: start + 5, down_ms: 59_995, epoch: first.opened.epoch },
    ]);
    second.stop();
  });

  test('after a stop that gave records up is no clean stop, although the files were closed', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks, life: 'a' });
    first.append(draft('verdict', 1));
    const other = new Database(join(folder, 'outbox.db'));
    other.exec('BEGIN IMMEDIATE');
    expect(() => first.append(draft('verdict', 2))).toThrow('locked');
    first.stop();
    other.close();
    const second = openStorage(folder, { uplinks, life: 'b' });
    expect(startsOf(second)).toMatchObject([{ reason: 'crash', last_record_ms: start + 1 }]);
    second.stop();
  });

  test('has the last time of the life before, also if it is stored after newer records', () => {
    const folder = testFolder();
    const first = openStorage(folder, { uplinks, life: 'a' });
    first.append(draft('verdict', 5));
    first.stop();
    const other = new Database(join(folder, 'outbox.db'));
    other.exec('BEGIN IMMEDIATE');
    const second = openStorage(folder, { uplinks, life: 'b', nowMs: start + 60_000 });
    other.close();
    second.append(draft('verdict', 60_000));
    second.upkeep(start + 61_000);
    expect(startsOf(second)).toMatchObject([{ reason: 'clean-stop', last_record_ms: start + 5 }]);
    second.stop();
  });

  test('after a killed process is a crash; another worker of the same process is none', () => {
    const folder = testFolder();
    openStorage(folder, { uplinks, life: 'a' }).append(draft('verdict', 1));
    const second = openStorage(folder, { uplinks, life: 'b' });
    expect(startsOf(second)).toMatchObject([{ reason: 'crash' }]);
    const third = openStorage(folder, { uplinks, life: 'b' });
    expect(startsOf(third)).toHaveLength(1);
    third.stop();
  });

  test('after a power cut is one, in its new epoch', () => {
    const folder = testFolder();
    openStorage(folder, { uplinks, life: 'a' }).append(draft('verdict', 1));
    const mark = join(folder, 'outbox.db.high-water');
    const before = new HighWaterFile(mark).read();
    if (before === undefined) throw new Error('no mark');
    const other = new HighWaterFile(mark);
    other.begin({ ...before, boot: 'another boot' });
    other.close();
    const second = openStorage(folder, { uplinks, life: 'b' });
    expect(startsOf(second)).toMatchObject([{ reason: 'power-cut', epoch: second.opened.epoch }]);
    second.stop();
  });
});
