import Database from 'better-sqlite3';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StoredRecord } from '../../src/domain/record/record.ts';
import type { Outbox } from '../../src/outbox/outbox.ts';
import { recordsIn } from '../support/batch-records.ts';
import { testDeps } from '../support/test-deps.ts';
import { alarmDraft, allKinds, draft, drain, numberOf, openOutbox, openStorage, testFolder } from './outbox-fixture.ts';

describe('records in and out', () => {
  test('records come back in the order they were stored, with ids that count up in one epoch', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    const [first] = await Promise.all([
      outbox.append([draft('verdict', 1), draft('sample', 2)]),
      outbox.append([draft('verdict', 3)]),
    ]);
    const { epoch } = await outbox.stats();
    expect(first).toEqual([`edge-01/${epoch}/1`, `edge-01/${epoch}/2`]);
    const records = await drain(outbox);
    expect(records.map(numberOf)).toEqual([1, 2, 3]);
    expect(records.map(({ id }) => id)).toEqual([1, 2, 3].map((sequence) => `edge-01/${epoch}/${sequence}`));
  });

  test('an uplink gets only its kinds, and its place survives a restart', async () => {
    const folder = testFolder();
    const uplinks = [{ id: 'alarms-only', kinds: ['alarm'] as const }];
    const first = await openOutbox({ folder, uplinks });
    await first.append([draft('verdict', 1), draft('alarm', 2), draft('verdict', 3), draft('alarm', 4)]);
    const [record] = await first.readers.read({
      uplink: 'alarms-only',
      lane: 'backlog',
      kinds: ['alarm'],
      limits: { recordsMax: 1, bytesMax: 1e6 },
      batchesMax: 1,
      after: undefined,
    });
    if (record === undefined) throw new Error('nothing was read');
    await first.readers.acknowledge('alarms-only', [record]);
    await first[Symbol.asyncDispose]();
    const second = await openOutbox({ folder, uplinks });
    expect((await drain(second, { uplink: 'alarms-only', kinds: ['alarm'] })).map(numberOf)).toEqual([4]);
  });

  test('one uplink that is down holds up no other', async () => {
    const outbox = await openOutbox({
      folder: testFolder(),
      uplinks: [
        { id: 'up', kinds: allKinds },
        { id: 'down', kinds: allKinds },
      ],
    });
    await outbox.append([draft('verdict', 1), draft('verdict', 2)]);
    await drain(outbox, { uplink: 'up', kinds: allKinds });
    const { uplinks } = await outbox.stats();
    expect(uplinks.map(({ uplink, waiting }) => [uplink, waiting])).toEqual([
      ['up', 0],
      ['down', 2],
    ]);
  });

  test('acknowledging past a record that still waits is refused: it would be lost', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([draft('verdict', 1), draft('verdict', 2)]);
    const batches = await outbox.readers.read({
      uplink: 'cloud',
      lane: 'backlog',
      kinds: allKinds,
      limits: { recordsMax: 1, bytesMax: 1e6 },
      batchesMax: 2,
      after: undefined,
    });
    await expect(outbox.readers.acknowledge('cloud', batches.slice(1))).rejects.toMatchObject({
      code: 'acknowledge-out-of-order',
    });
    expect((await drain(outbox)).map(numberOf)).toEqual([1, 2]);
  });

  test('records refused for good become dead letters, and the next ones go on', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([draft('verdict', 1), draft('verdict', 2)]);
    const [poison] = await outbox.readers.read({
      uplink: 'cloud',
      lane: 'backlog',
      kinds: allKinds,
      limits: { recordsMax: 1, bytesMax: 1e6 },
      batchesMax: 1,
      after: undefined,
    });
    if (poison === undefined) throw new Error('nothing was read');
    await outbox.readers.setAside('cloud', poison, 'HTTP 400');
    expect((await drain(outbox)).map(numberOf)).toEqual([2]);
    expect((await outbox.stats()).deadLetters).toBe(1);
  });

  /** Records of the first batch that is read. */
  async function firstLength(outbox: Outbox, bytesMax: number): Promise<number | undefined> {
    const limits = { recordsMax: 10, bytesMax };
    const request = {
      uplink: 'cloud',
      lane: 'backlog',
      kinds: allKinds,
      limits,
      batchesMax: 1,
      after: undefined,
    } as const;
    return (await outbox.readers.read(request))[0]?.length;
  }

  test('a read continues after the last sequence of an earlier one, whose records are not settled', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([1, 2, 3, 4, 5].map((number) => draft('verdict', number)));
    const limits = { recordsMax: 2, bytesMax: 1e6 };
    const request = { uplink: 'cloud', lane: 'backlog', kinds: allKinds, limits, batchesMax: 1 } as const;
    const first = await outbox.readers.read({ ...request, after: undefined });
    const second = await outbox.readers.read({ ...request, after: first.at(-1)?.last.sequence });
    expect(recordsIn([...first, ...second]).map(numberOf)).toEqual([1, 2, 3, 4]);
    await outbox.readers.acknowledge('cloud', [...first, ...second]);
    expect((await drain(outbox)).map(numberOf)).toEqual([5]);
  });

  test('a read keeps to its bytes, but never comes back empty-handed', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([draft('verdict', 1, 900), draft('verdict', 2, 900), draft('verdict', 3, 900)]);
    expect(await firstLength(outbox, 2050)).toBe(2);
    expect(await firstLength(outbox, 1)).toBe(1);
  });

  test('a read counts UTF-8 bytes, not characters', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([1, 2, 3].map((number) => ({ ...draft('verdict', number), body: { text: '°'.repeat(450) } })));
    expect(await firstLength(outbox, 2050)).toBe(2);
  });

  test('the verdicts of a watch are found by time, delivered or not', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox.append([1, 2, 3, 4].map((number) => draft('verdict', number)));
    await drain(outbox);
    const base = 1_800_000_000_000;
    const query = { watch: 'pump-1', kind: 'verdict' as const, fromMs: base + 2, toMs: base + 3, limit: 10 };
    expect((await outbox.history(query)).map(numberOf)).toEqual([2, 3]);
  });

  test('a record too large is refused before it can hold up others', async () => {
    const outbox = await openOutbox({ folder: testFolder(), config: { recordBytesMax: '1kB' } });
    await expect(outbox.append([draft('verdict', 1, 2000)])).rejects.toMatchObject({
      code: 'record-too-large',
      disposition: 'reject',
    });
  });
});

describe('lanes', () => {
  /*
   * Invariant: for any order of appends, live reads, backlog reads and restarts, every record is acknowledged
   * exactly once over both lanes, and within a lane in order.
   */
  const step = fc.oneof(
    fc.record({ type: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ type: fc.constant('restart' as const), count: fc.constant(0) }),
    fc.record({ type: fc.constant('live' as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ type: fc.constant('backlog' as const), count: fc.integer({ min: 1, max: 4 }) }),
  );

  test('both lanes together send every record once, each lane in order', () => {
    const folder = testFolder();
    let run = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const place = join(folder, `run-${(run += 1)}`);
        mkdirSync(place);
        let storage = openStorage(place);
        let appended = 0;
        const got: StoredRecord[] = [];
        const take = (lane: 'live' | 'backlog', recordsMax: number) => {
          const records = storage.read(lane, recordsMax);
          expect(records.map(numberOf)).toEqual(records.map(numberOf).toSorted((a, b) => a - b));
          storage.acknowledge(records);
          got.push(...records);
          return records.length;
        };
        for (const { type, count } of steps) {
          if (type === 'append') {
            storage.append(...Array.from({ length: count }, () => draft('verdict', (appended += 1))));
          } else if (type === 'restart') {
            storage.stop();
            storage = openStorage(place);
          } else take(type, count);
        }
        while (take('live', 3) + take('backlog', 3) > 0);
        expect(got.map(numberOf).toSorted((a, b) => a - b)).toEqual(Array.from({ length: appended }, (_, i) => i + 1));
        expect(storage.stats().uplinks[0]?.waiting).toBe(0);
        storage.stop();
      }),
      { numRuns: 60 },
    );
  });

  test('the live lane skips what waited before it began', async () => {
    const folder = testFolder();
    const outbox = await openOutbox({ folder });
    await outbox.append([1, 2, 3].map((number) => draft('verdict', number)));
    const request = {
      uplink: 'cloud',
      kinds: allKinds,
      limits: { recordsMax: 10, bytesMax: 1e6 },
      batchesMax: 1,
      after: undefined,
    };
    expect(await outbox.readers.read({ ...request, lane: 'live' })).toEqual([]);
    await outbox.append([draft('verdict', 4)]);
    expect(recordsIn(await outbox.readers.read({ ...request, lane: 'live' })).map(numberOf)).toEqual([4]);
    expect(recordsIn(await outbox.readers.read({ ...request, lane: 'backlog' })).map(numberOf)).toEqual([1, 2, 3]);
  });

  test('what the live lane left behind is still sent after a restart, in order and once', async () => {
    const folder = testFolder();
    const first = await openOutbox({ folder });
    await first.append([1, 2].map((number) => draft('verdict', number)));
    await drain(first, undefined, 'live');
    await first.append([3, 4].map((number) => draft('verdict', number)));
    expect((await drain(first, undefined, 'live')).map(numberOf)).toEqual([3, 4]);
    await first.append([draft('verdict', 5)]);
    await first[Symbol.asyncDispose]();
    const second = await openOutbox({ folder });
    expect((await drain(second)).map(numberOf)).toEqual([1, 2, 5]);
  });
});

describe('alarms', () => {
  test('the states of the alarms survive the loss of the outbox file', async () => {
    const folder = testFolder();
    const first = await openOutbox({ folder });
    await first.append([alarmDraft(1)]);
    await first.append([alarmDraft(2)]);
    await first[Symbol.asyncDispose]();
    writeFileSync(join(folder, 'outbox.db'), 'not a database at all, and longer than a header '.repeat(100));
    const second = await openOutbox({ folder });
    expect((await second.alarms()).map(({ watch, number, state }) => [watch, number, state])).toEqual([
      ['pump-1', 2, 'unacknowledged'],
    ]);
  });

  test('an alarm is read back with each property, also with those that are undefined, which JSON does not have', async () => {
    const folder = testFolder();
    const { alarm } = alarmDraft(1);
    const first = await openOutbox({ folder });
    await first.append([{ ...alarmDraft(1), alarm: alarm && { ...alarm, score: undefined } }]);
    await first[Symbol.asyncDispose]();
    const second = await openOutbox({ folder });
    // Without one, the list of alarms does not match its schema.
    const names = (await second.alarms()).map((each) => Object.keys(each).toSorted());
    expect(names).toEqual([Object.keys(alarm ?? {}).toSorted()]);
  });

  test('the next alarm replaces a damaged one, for any damaged number', () => {
    const folder = testFolder();
    const first = openStorage(folder);
    first.append(alarmDraft(5));
    first.stop();
    const file = new Database(join(folder, 'alarms.db'));
    file.exec(`UPDATE alarm SET number = 900, transition = replace(transition, 'high', 'hxgh')`);
    file.close();
    const second = openStorage(folder);
    expect(second.alarms()).toEqual([]);
    second.append(alarmDraft(6));
    expect(second.alarms().map(({ number }) => number)).toEqual([6]);
    second.stop();
  });

  test('alarms that their own file does not take leave the telemetry of the same commit alone', async () => {
    const folder = testFolder();
    mkdirSync(join(folder, 'alarms.db'));
    const outbox = await openOutbox({ folder });
    const telemetry = outbox.append([draft('verdict', 1)]);
    await expect(outbox.append([alarmDraft(2)])).rejects.toMatchObject({ code: 'outbox-unavailable' });
    expect(await telemetry).toHaveLength(1);
    expect((await drain(outbox)).map(numberOf)).toEqual([1]);
  });

  test('an alarm that is appended again, because the answer was lost, is stored once', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    const once = await outbox.append([alarmDraft(1)]);
    expect(await outbox.append([alarmDraft(1)])).toEqual(once);
    expect(await drain(outbox)).toHaveLength(1);
  });
});

describe('the storage worker', () => {
  test('a folder that cannot be made stops the start with its name', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(openOutbox({ folder: join(folder, 'file') })).rejects.toMatchObject({
      code: 'outbox-path-unusable',
      message: expect.stringContaining(join(folder, 'file')) as unknown,
    });
  });

  test('a file system that knows no such folder stops the start, too, and does not hang it', async () => {
    await expect(openOutbox({ folder: '/proc/no-such-folder/below' })).rejects.toMatchObject({
      code: 'outbox-path-unusable',
    });
  });

  test('listeners of commits are called for every record', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    let received = 0;
    const all = new Promise<void>((resolve) => {
      outbox.readers.onCommit((count) => {
        received += count;
        if (received === 3) resolve();
      });
    });
    await outbox.append([draft('verdict', 1), draft('verdict', 2)]);
    await outbox.append([draft('verdict', 3)]);
    await all;
    expect(received).toBe(3);
  });

  test('a stop stores what waits', async () => {
    const folder = testFolder();
    const first = await openOutbox({ folder, config: { commitInterval: '1s' } });
    const appends = Array.from({ length: 20 }, (_, index) => first.append([draft('verdict', index)]));
    await first[Symbol.asyncDispose]();
    await Promise.all(appends);
    const second = await openOutbox({ folder });
    expect(await drain(second)).toHaveLength(20);
  });

  test('after a stop every call fails as retryable', async () => {
    const outbox = await openOutbox({ folder: testFolder() });
    await outbox[Symbol.asyncDispose]();
    await expect(outbox.append([draft('verdict', 1)])).rejects.toMatchObject({
      code: 'outbox-unavailable',
      disposition: 'retry',
    });
  });

  test('a bad outbox file does not stop the start, and is kept for salvage', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, 'outbox.db'), 'rubbish '.repeat(2000));
    const deps = testDeps();
    const outbox = await openOutbox({ folder, deps });
    await outbox.append([draft('verdict', 1)]);
    expect(existsSync(join(folder, 'outbox.db.quarantine'))).toBe(true);
  });
});
