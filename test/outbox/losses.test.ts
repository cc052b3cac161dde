import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { timeLeft } from '../../src/cli/outbox-command.ts';
import type { RecordKind, StoredRecord } from '../../src/domain/record/record.ts';
import type { UplinkInterest } from '../../src/outbox/file/storage-protocol.ts';
import { rewindUplink } from '../../src/outbox/records/outbox-rewind.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import {
  allKinds,
  cloud,
  draft,
  drain,
  drainStorage,
  openOutbox,
  openStorage,
  testFolder,
  type TestStorage,
} from './outbox-fixture.ts';

type Loss = {
  readonly uplink: string | null;
  readonly records: RecordKind;
  readonly reason: string;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly ranges: readonly (readonly [number, number])[];
  readonly from_ms: number;
  readonly to_ms: number;
  readonly watches: Readonly<Record<string, number>>;
};

const start = 1_800_000_000_000;

function lossesOf(records: readonly StoredRecord[]): readonly Loss[] {
  return records.filter(({ kind }) => kind === 'loss').map(({ body }) => JSON.parse(body) as Loss);
}

function sum(losses: readonly Loss[]): number {
  return losses.reduce((total, { count }) => total + count, 0);
}

/** What one uplink received: reads and acknowledges, as the pump does. */
class Receiver {
  readonly interest: UplinkInterest;
  readonly received: StoredRecord[] = [];
  #inFlight: readonly StoredRecord[] = [];

  constructor(id: string, kinds: readonly RecordKind[] = allKinds) {
    this.interest = { id, kinds };
  }

  /** The records arrive; the acknowledgement follows with `acknowledge`. */
  read(storage: TestStorage, recordsMax = 100): boolean {
    this.#inFlight = storage.read('backlog', recordsMax, this.interest.id, this.interest.kinds);
    this.received.push(...this.#inFlight);
    return this.#inFlight.length > 0;
  }

  acknowledge(storage: TestStorage): void {
    storage.acknowledge(this.#inFlight, this.interest.id);
    this.#inFlight = [];
  }

  drain(storage: TestStorage): void {
    this.acknowledge(storage);
    while (this.read(storage, 500)) this.acknowledge(storage);
  }

  /** Sequences that the loss records name. */
  lost(sequencesOf: (kind: RecordKind) => readonly number[]): readonly number[] {
    return lossesOf(this.received).flatMap(({ records, ranges }) =>
      sequencesOf(records).filter((sequence) => ranges.some(([from, to]) => sequence >= from && sequence <= to)),
    );
  }
}

/** A generator of numbers from 0 to below `limit`, the same for the same seed. */
function numbersFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe('an outbox that overflows', () => {
  /*
   * Invariant: for each uplink, the records that it received and the ids that its loss records name are together exactly the
   * stored records of its kinds, with none in both; and the counts agree with the ranges and with the metrics.
   * Method: random appends, reads, acknowledgements and upkeep against uplinks of different speed, some of them down.
   */
  test.each([1, 2, 3, 4, 5, 6])('names to each uplink exactly the records that it lost (seed %i)', (seed) => {
    const random = numbersFrom(seed);
    const uplinks = [
      new Receiver('fast'),
      new Receiver('slow'),
      new Receiver('down'),
      new Receiver('verdicts', ['verdict', 'loss']),
    ];
    const onFull = seed % 2 === 0 ? 'drop-oldest' : 'drop-samples-first';
    const storage = openStorage(testFolder(), {
      config: { maxSize: '1MB', onFull },
      uplinks: uplinks.map(({ interest }) => interest),
    });
    const [fast, slow] = uplinks;
    const stored: { readonly kind: RecordKind; readonly sequence: number }[] = [];
    const counted = new Map<string, number>();
    let refused = 0;
    let nowMs = start;
    const upkeep = (): void => {
      counted.clear();
      for (const { uplink = '', count } of storage.upkeep(nowMs).lost)
        counted.set(uplink, (counted.get(uplink) ?? 0) + count);
    };
    for (let step = 0; step < 400; step += 1) {
      const drafts = Array.from({ length: 1 + random(20) }, (_, index) =>
        draft(random(3) === 0 ? 'verdict' : 'sample', step * 100 + index, 400),
      );
      for (const [index, id] of storage.append(...drafts).entries())
        if (id === undefined) refused += 1;
        else stored.push({ kind: drafts[index]?.kind ?? 'sample', sequence: Number(id.split('/')[2]) });
      fast?.drain(storage);
      if (random(4) === 0) {
        slow?.acknowledge(storage);
        slow?.read(storage, 20);
      }
      nowMs += 1000;
      upkeep();
    }
    nowMs += 20_000;
    upkeep();
    for (const uplink of uplinks) uplink.drain(storage);
    const sequencesOf = (kind: RecordKind): readonly number[] =>
      stored.filter((record) => record.kind === kind).map(({ sequence }) => sequence);

    for (const uplink of uplinks) {
      const { id, kinds } = uplink.interest;
      const received = uplink.received.filter(({ kind }) => kind !== 'loss').map(({ sequence }) => sequence);
      const lost = uplink.lost(sequencesOf);
      const all = stored.filter(({ kind }) => kinds.includes(kind)).map(({ sequence }) => sequence);
      expect(
        [...received, ...lost].toSorted((a, b) => a - b),
        `${id}: received and lost`,
      ).toEqual(all);
      const losses = lossesOf(uplink.received);
      expect(sum(losses.filter(({ from }) => from > 0)), `${id}: counts`).toBe(lost.length);
      expect(losses.every((loss) => loss.uplink === id)).toBe(true);
      expect(counted.get(id) ?? 0, `${id}: metrics`).toBe(sum(losses));
    }
    expect(
      lossesOf(fast?.received ?? []).filter(({ from }) => from > 0),
      'it received everything',
    ).toEqual([]);
    expect(sum(lossesOf(uplinks[2]?.received ?? []))).toBeGreaterThan(1000);
    expect(sum(lossesOf(fast?.received ?? []))).toBe(refused);
    storage.stop();
  });

  test('drops in small steps', () => {
    const storage = openStorage(testFolder(), { config: { maxSize: '1MB' } });
    let before = 0;
    let largest = 0;
    for (let number = 0; number < 3000; number += 10) {
      storage.append(...Array.from({ length: 10 }, (_, index) => draft('sample', number + index, 800)));
      const { lost } = storage.stats();
      largest = Math.max(largest, lost - before);
      before = lost;
    }
    expect(before).toBeGreaterThan(1500);
    // A record has about 900 bytes: 4 % of the outbox.
    expect(largest).toBeLessThan(50);
    storage.stop();
  });

  test('costs an uplink that is down one loss record for each kind and reason', () => {
    const storage = openStorage(testFolder(), { config: { maxSize: '1MB' } });
    for (let number = 0; number < 4000; number += 20) {
      storage.append(...Array.from({ length: 20 }, (_, index) => draft('verdict', number + index, 800)));
      storage.upkeep(start + number * 1000);
    }
    const down = new Receiver('cloud');
    down.drain(storage);
    const losses = lossesOf(down.received);
    expect(losses).toHaveLength(1);
    expect(losses[0]).toMatchObject({ uplink: 'cloud', records: 'verdict', reason: 'outbox-full', from: 1 });
    expect(losses[0]?.ranges).toEqual([[1, losses[0]?.to]]);
    storage.stop();
  });

  test('does not change a loss record that its uplink is sending', () => {
    const storage = openStorage(testFolder(), { config: { maxSize: '1MB' } });
    const fill = (from: number): void => {
      for (let number = from; number < from + 1500; number += 20)
        storage.append(...Array.from({ length: 20 }, (_, index) => draft('sample', number + index, 800)));
    };
    const receiver = new Receiver('cloud');
    fill(0);
    storage.upkeep(start + 10_000);
    while (lossesOf(receiver.received).length === 0) {
      receiver.acknowledge(storage);
      receiver.read(storage);
    }
    fill(2000);
    storage.upkeep(start + 20_000);
    receiver.drain(storage);
    const ids = receiver.received.filter(({ kind }) => kind === 'loss').map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    const [first, second] = lossesOf(receiver.received);
    expect(second?.from).toBeGreaterThan(first?.to ?? Infinity);
    storage.stop();
  });
});

describe('records that are never stored', () => {
  test('with reject-new, are a loss with their number, their times and their watches', async () => {
    const deps = testDeps();
    const outbox = await openOutbox({ folder: testFolder(), config: { maxSize: '1MB', onFull: 'reject-new' }, deps });
    const refused: number[] = [];
    for (let number = 0; number < 2000; number += 50) {
      const drafts = Array.from({ length: 50 }, (_, index) => draft('verdict', number + index, 800));
      try {
        await outbox.append(drafts);
      } catch {
        outbox.lost(drafts, 'outbox-full');
        refused.push(...drafts.map(({ timestampMs }) => timestampMs));
      }
    }
    expect(refused.length).toBeGreaterThan(500);
    // Makes room for the loss record, after the losses were reported with the upkeep.
    await expect.poll(async () => (await outbox.stats()).lost).toBe(refused.length);
    const losses: Loss[] = [];
    const received = async (): Promise<number> => {
      losses.push(...lossesOf(await drain(outbox)));
      return sum(losses);
    };
    await expect.poll(received).toBe(refused.length);
    const expected = { uplink: 'cloud', records: 'verdict', reason: 'outbox-full', from: 0, to: 0, ranges: [] };
    for (const loss of losses) expect(loss).toMatchObject({ ...expected, watches: { 'pump-1': loss.count } });
    expect(losses[0]?.from_ms).toBe(refused[0]);
    expect(losses.at(-1)?.to_ms).toBe(refused.at(-1));
    const metric = 'andon_uplink_records_lost_total{uplink="cloud",kind="verdict",reason="outbox-full"}';
    expect(await metricValue(deps, metric)).toBe(refused.length);
  });

  test('are reported only to the uplinks that take their kind; without one, the loss stays on the box', () => {
    const uplinks: readonly UplinkInterest[] = [
      { id: 'alarms', kinds: ['alarm', 'loss'] },
      { id: 'verdicts', kinds: ['verdict', 'loss'] },
    ];
    const storage = openStorage(testFolder(), { uplinks });
    const refusal = { reason: 'outbox-queue-full', count: 3, fromMs: 1, toMs: 2, watches: {} };
    void storage.handlers.lost({
      life: 'a',
      number: 1,
      losses: [
        { ...refusal, kind: 'verdict' },
        { ...refusal, kind: 'sample' },
      ],
      nowMs: start,
    });
    storage.upkeep(start);
    expect(storage.read('backlog', 10, 'alarms', ['alarm', 'loss'])).toEqual([]);
    expect(lossesOf(storage.read('backlog', 10, 'verdicts', ['verdict', 'loss']))).toMatchObject([
      { uplink: 'verdicts', records: 'verdict', count: 3 },
    ]);
    expect(storage.stats()).toMatchObject({ records: 2, lost: 6 });
    storage.stop();
  });

  test('are counted once, although their report is sent twice', () => {
    const folder = testFolder();
    const storage = openStorage(folder);
    const losses = [
      { kind: 'verdict', reason: 'outbox-queue-full', count: 3, fromMs: 1, toMs: 2, watches: {} },
    ] as const;
    void storage.handlers.lost({ life: 'a', number: 1, losses, nowMs: start });
    const second = openStorage(folder);
    void second.handlers.lost({ life: 'a', number: 1, losses, nowMs: start });
    void second.handlers.lost({ life: 'a', number: 2, losses, nowMs: start });
    expect(second.stats().lost).toBe(6);
    second.stop();
  });
});

test('dead letters above their limit are a loss of their uplink, with their ids', () => {
  const storage = openStorage(testFolder(), { config: { deadLettersMax: 2 } });
  storage.append(...[1, 2, 3, 4].map((number) => draft('verdict', number)));
  const records = storage.read();
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined) throw new Error('four records wait');
  const sequences = records.map(({ sequence }) => sequence);
  void storage.handlers.setAside({ uplink: 'cloud', first, last, sequences, reason: 'HTTP 400', nowMs: start });
  storage.upkeep(start);
  expect(lossesOf(storage.read())).toMatchObject([
    { uplink: 'cloud', records: 'verdict', reason: 'dead-letters-full', count: 2, ranges: [[1, 2]] },
  ]);
  storage.stop();
});

test('health is degraded while records are dropped, and for a minute after', () => {
  const storage = openStorage(testFolder(), { config: { maxSize: '1MB' } });
  for (let number = 0; number < 2000; number += 20)
    storage.append(...Array.from({ length: 20 }, (_, index) => draft('sample', number + index, 800)));
  const { lost } = storage.stats();
  expect(storage.upkeep(start).outbox).toEqual({
    status: 'degraded',
    reason: `Records are dropped: ${lost} since 2027-01-15T08:00:00Z. The outbox reached outbox.maxSize: restore the uplinks or raise it`,
  });
  expect(storage.upkeep(start + 59_000).outbox.status).toBe('degraded');
  expect(storage.upkeep(start + 61_000).outbox.status).toBe('ok');
  storage.stop();
});

test('the time until the outbox is full has minutes below two hours and days above two days', () => {
  expect([0.2, 1.9, 2, 48, 72.2].map(timeLeft)).toEqual(['12 min', '114 min', '2 h', '48 h', '3 days']);
});

describe('a rewind', () => {
  function deliveredBox() {
    const folder = testFolder();
    const uplinks = [
      { id: 'cloud', kinds: allKinds },
      { id: 'lake', kinds: allKinds },
    ];
    const storage = openStorage(folder, { uplinks });
    const ids = storage.append(...Array.from({ length: 10 }, (_, index) => draft('verdict', index + 1)));
    storage.acknowledge(storage.read('backlog', 8));
    return {
      options: { path: join(folder, 'outbox.db'), agentId: 'edge-01', bytesMax: 2e9, uplinks, uplink: 'cloud' },
      folder,
      storage,
      ids,
      uplinks,
    };
  }

  test('by sequence sends the delivered records again, with their ids, and moves no other uplink', () => {
    const { options, folder, storage, ids, uplinks } = deliveredBox();
    storage.stop();
    expect(rewindUplink({ ...options, from: { sequence: 4 } })).toEqual({
      from: 4,
      fromMs: start + 4,
      waiting: 7,
      waitedBefore: 2,
    });
    const second = openStorage(folder, { uplinks });
    expect(second.opened.epochsStarted, 'the ids go on').toBe(0);
    expect(drainStorage(second).map(({ id }) => id)).toEqual(ids.slice(3));
    expect(second.read('backlog', 100, 'lake')).toHaveLength(10);
    second.stop();
  });

  test('by time begins with the first record of that time', () => {
    const { options, storage } = deliveredBox();
    storage.stop();
    expect(rewindUplink({ ...options, from: { timeMs: start + 6.5 } })).toMatchObject({ from: 7, waiting: 4 });
  });

  test('is refused forward, beyond the records, and for an uplink that does not exist', () => {
    const { options, storage } = deliveredBox();
    storage.stop();
    expect(() => rewindUplink({ ...options, from: { sequence: 9 } })).toThrow('waits for the uplink already');
    expect(() => rewindUplink({ ...options, from: { sequence: 99 } })).toThrow('No record of the uplink is stored');
    expect(() => rewindUplink({ ...options, uplink: 'clout', from: { sequence: 1 } })).toThrow(
      'The configuration has cloud, lake',
    );
  });

  test('is refused for a channel of notifications, also while the agent runs', () => {
    const folder = testFolder();
    const uplinks = [cloud, { id: 'notify/shift', kinds: ['alarm'] as const }];
    const storage = openStorage(folder, { uplinks });
    const options = { path: join(folder, 'outbox.db'), agentId: 'edge-01', bytesMax: 2e9, uplinks };
    const from = { sequence: 1 };
    const refusal = "'notify/shift' is a channel of notifications, not an uplink: its messages are not sent again";
    expect(() => rewindUplink({ ...options, uplink: 'notify/shift', from })).toThrow(refusal);
    storage.stop();
    expect(() => rewindUplink({ ...options, uplink: 'shift', from })).toThrow(/The configuration has cloud$/);
  });

  test('is refused while the agent runs', async () => {
    const folder = testFolder();
    const outbox = await openOutbox({ folder });
    await outbox.append([draft('verdict', 1)]);
    await drain(outbox);
    const options = {
      path: join(folder, 'outbox.db'),
      agentId: 'edge-01',
      bytesMax: 2e9,
      uplinks: [cloud],
      uplink: 'cloud',
    };
    expect(() => rewindUplink({ ...options, from: { sequence: 1 } })).toThrow(
      expect.objectContaining({ code: 'outbox-in-use' }),
    );
  });
});
