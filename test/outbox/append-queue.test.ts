import { describe, expect, test } from 'vitest';
import { AppendQueue, type AppendQueueOptions } from '../../src/outbox/records/append-queue.ts';
import { Outbox } from '../../src/outbox/outbox.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { exportRecords, outboxStats } from '../../src/outbox/records/outbox-reader.ts';
import { unavailable } from '../../src/outbox/file/outbox-errors.ts';
import { errorCode } from '../../src/platform/errors.ts';
import { GrowthRate } from '../../src/outbox/file/growth-rate.ts';
import type { AppendBatch } from '../../src/outbox/file/append-batch.ts';
import { sleep } from '../../src/platform/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { alarmDraft, cloud, draft, numberOf, openOutbox, testFolder } from './outbox-fixture.ts';
import { join } from 'node:path';

type QueueLimits = Partial<Record<'commitRowsMax' | 'commitBytesMax' | 'queueRowsMax' | 'queueBytesMax', number>>;

/** A queue in front of a disk that commits within `commitMs`, or with `stuck` never. */
function queueOn(
  clock: FakeClock,
  {
    stuck = false,
    commitMs = 0,
    ...limits
  }: QueueLimits &
    Partial<Pick<AppendQueueOptions, 'commit'>> & { readonly stuck?: boolean; readonly commitMs?: number } = {},
) {
  const commits: { readonly atMs: number; readonly rows: number }[] = [];
  const queue = new AppendQueue({
    clock,
    commitIntervalMs: 25,
    commitRowsMax: 500,
    commitBytesMax: 256_000,
    queueRowsMax: 1000,
    queueBytesMax: 1e6,
    recordBytesMax: 1000,
    rejectsNew: false,
    commit: async (batch: AppendBatch) => {
      commits.push({ atMs: clock.monotonicMs(), rows: batch.kinds.length });
      if (stuck) return new Promise(() => undefined);
      if (commitMs > 0) await sleep(clock, commitMs);
      return { ids: batch.kinds.map((_, index) => `id-${index}`) };
    },
    ...limits,
  });
  const push = (count = 1) => void queue.push(Array.from({ length: count }, (_, index) => draft('verdict', index)));
  return { queue, commits, push };
}

test('the first append after a pause is committed immediately, with the other appends of the same turn', async () => {
  const clock = new FakeClock();
  const { commits, push } = queueOn(clock);
  push();
  push();
  await clock.advance(0);
  expect(commits).toEqual([{ atMs: 0, rows: 2 }]);
  await clock.advance(100);
  push();
  await clock.advance(0);
  expect(commits.at(-1)).toEqual({ atMs: 100, rows: 1 });
});

test('under load, commits keep their interval and share a commit', async () => {
  const clock = new FakeClock();
  const { commits, push } = queueOn(clock);
  for (let ms = 0; ms < 100; ms += 5) {
    push();
    await clock.advance(0);
    await clock.advance(5);
  }
  expect(commits.map(({ atMs }) => atMs)).toEqual([0, 25, 50, 75, 100]);
  expect(commits.map(({ rows }) => rows)).toEqual([1, 4, 5, 5, 5]);
});

test('with a slow disk, the next commit starts when the last has returned, and takes what arrived meanwhile', async () => {
  const clock = new FakeClock();
  const { commits, push } = queueOn(clock, { commitMs: 40 });
  for (let ms = 0; ms < 120; ms += 10) {
    push();
    await clock.advance(0);
    await clock.advance(10);
  }
  expect(commits).toEqual([
    { atMs: 0, rows: 1 },
    { atMs: 40, rows: 3 },
    { atMs: 80, rows: 4 },
    { atMs: 120, rows: 4 },
  ]);
});

test('an alarm does not wait for a slow disk', async () => {
  const clock = new FakeClock();
  const { queue, commits, push } = queueOn(clock, { commitMs: 40 });
  push();
  await clock.advance(1);
  push();
  void queue.push([alarmDraft(1)]);
  await clock.advance(0);
  expect(commits.at(-1)).toEqual({ atMs: 1, rows: 2 });
});

test('commitRowsMax rows make a commit due before its interval', async () => {
  const clock = new FakeClock();
  const { commits, push } = queueOn(clock, { commitRowsMax: 10 });
  push();
  await clock.advance(1);
  push(9);
  await clock.advance(1);
  expect(commits).toHaveLength(1);
  push(1);
  await clock.advance(0);
  expect(commits.at(-1)).toEqual({ atMs: 2, rows: 10 });
});

test('an alarm does not wait for the interval', async () => {
  const clock = new FakeClock();
  const { queue, commits, push } = queueOn(clock);
  push();
  await clock.advance(1);
  push();
  void queue.push([alarmDraft(1)]);
  await clock.advance(0);
  expect(commits.at(-1)).toEqual({ atMs: 1, rows: 2 });
});

test('an alarm behind a full batch does not wait for the interval either', async () => {
  const clock = new FakeClock();
  const { queue, commits, push } = queueOn(clock, { commitRowsMax: 10 });
  push(10);
  void queue.push([alarmDraft(1)]);
  await clock.advance(0);
  expect(commits).toEqual([
    { atMs: 0, rows: 10 },
    { atMs: 0, rows: 1 },
  ]);
});

describe('sizes are UTF-8 bytes, and units such as °C and µm have characters of two bytes', () => {
  /** A record with a body of `bytes`, nearly all of it characters of two bytes. */
  const sized = (bytes: number) => {
    const text = '°'.repeat((bytes - 12) / 2);
    return { ...draft('verdict', 1), body: { units: text } };
  };

  test('a record of recordBytesMax is accepted, a larger one refused', async () => {
    const { queue } = queueOn(new FakeClock());
    await expect(queue.push([sized(1000)])).resolves.toHaveLength(1);
    await expect(queue.push([sized(1002)])).rejects.toMatchObject({
      code: 'record-too-large',
      message: expect.stringContaining('1002 bytes') as unknown,
    });
  });

  test('commitBytesMax makes a commit due before its interval', async () => {
    const clock = new FakeClock();
    const { queue, commits } = queueOn(clock, { commitBytesMax: 2000 });
    void queue.push([sized(1000)]);
    await clock.advance(0);
    await clock.advance(1);
    void queue.push([sized(1000)]);
    await clock.advance(0);
    expect(commits).toHaveLength(1);
    void queue.push([sized(1000)]);
    await clock.advance(0);
    expect(commits.at(-1)).toEqual({ atMs: 1, rows: 2 });
  });

  test('queueBytesMax limits the records that wait', async () => {
    const { queue } = queueOn(new FakeClock(), { queueBytesMax: 2000, commitBytesMax: 1000, stuck: true });
    void queue.push([sized(1000)]);
    void queue.push([sized(1000)]);
    await expect(queue.push([sized(100)])).rejects.toMatchObject({ code: 'outbox-queue-full' });
  });
});

test('an append above the limit of the queue is refused immediately, as retryable', async () => {
  const clock = new FakeClock();
  const { queue, push } = queueOn(clock, { queueRowsMax: 100, stuck: true });
  push(50);
  await clock.advance(50);
  push(100);
  await expect(queue.push([draft('verdict', 1)])).rejects.toMatchObject({
    code: 'outbox-queue-full',
    disposition: 'retry',
  });
});

describe('a commit that fails', () => {
  /** A queue whose commits fail with `failure` while it is set. */
  function queueOnFailingDisk(clock: FakeClock, limits: QueueLimits = {}) {
    const state: { failure: Error | undefined } = { failure: unavailable('the disk is full') };
    const attempts: (readonly [number: number, isRetry: boolean])[] = [];
    const stored: number[] = [];
    const { queue } = queueOn(clock, {
      ...limits,
      commit: (batch: AppendBatch) => {
        attempts.push([batch.number, batch.isRetry]);
        if (state.failure !== undefined) return Promise.reject(state.failure);
        stored.push(batch.number);
        return Promise.resolve({ ids: batch.kinds.map((_, index) => `${batch.number}/${index}`) });
      },
    });
    return { queue, state, attempts, stored };
  }

  test('keeps its records, and they are stored in their order when the disk accepts them again', async () => {
    const clock = new FakeClock();
    const { queue, state, attempts, stored } = queueOnFailingDisk(clock, { commitRowsMax: 1 });
    const appends = [1, 2, 3].map((number) => queue.push([draft('verdict', number)]));
    await clock.advance(1000);
    expect(stored).toEqual([]);
    expect(queue.rows).toBe(3);
    state.failure = undefined;
    await clock.advance(1000);
    await expect(Promise.all(appends)).resolves.toEqual([['1/0'], ['2/0'], ['3/0']]);
    expect(stored).toEqual([1, 2, 3]);
    expect(attempts[0]).toEqual([1, false]);
    expect(attempts.slice(2, -1).every(([, isRetry]) => isRetry)).toBe(true);
  });

  test('refuses the newest records above the limit of the queue', async () => {
    const clock = new FakeClock();
    const { queue, state } = queueOnFailingDisk(clock, { queueRowsMax: 10 });
    const kept = queue.push(Array.from({ length: 10 }, (_, index) => draft('verdict', index)));
    await clock.advance(1000);
    await expect(queue.push([draft('verdict', 11)])).rejects.toMatchObject({ code: 'outbox-queue-full' });
    state.failure = undefined;
    await clock.advance(1000);
    await expect(kept).resolves.toHaveLength(10);
  });

  test('is final if the batch is at fault', async () => {
    const clock = new FakeClock();
    const { queue, state } = queueOnFailingDisk(clock);
    state.failure = new Error('no such column');
    await expect(queue.push([draft('verdict', 1)])).rejects.toThrow('no such column');
    expect(queue.rows).toBe(0);
  });

  test('is final after the time limit of a stop', async () => {
    const clock = new FakeClock();
    const { queue } = queueOnFailingDisk(clock);
    const outcome = queue.push([draft('verdict', 1)]).then(() => 'stored', errorCode);
    await clock.advance(100);
    const drained = queue.drain();
    await clock.advance(6000);
    await expect(outcome).resolves.toBe('outbox-unavailable');
    await expect(drained).resolves.toBeUndefined();
  });
});

test('a storage worker that dies is replaced, and the append under way is stored once by the next one', async () => {
  const deps = testDeps();
  const folder = testFolder();
  const outbox = new Outbox({
    agentId: 'edge-01',
    entry: new URL('dying-storage-worker.ts', import.meta.url),
    config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db') }),
    uplinks: [],
    deps,
  });
  await outbox.start();
  const health = () => deps.health.components().find(({ name }) => name === 'outbox');
  const appended = outbox.append([draft('sample', 1), draft('verdict', 2)]);
  await expect.poll(() => health()?.reason).toContain('after the commit; 2 records wait in memory');
  const ids = await appended;
  await expect.poll(() => health()?.status).toBe('ok');
  expect(await metricValue(deps, 'andon_outbox_worker_restarts_total')).toBe(1);
  await outbox[Symbol.asyncDispose]();
  const records = await Array.fromAsync(exportRecords({ path: join(folder, 'outbox.db'), agentId: 'edge-01' }));
  expect(records.map(({ id }) => id)).toEqual(ids);
});

test('another process reads the records and the figures while the agent runs', async () => {
  const folder = testFolder();
  const path = join(folder, 'outbox.db');
  const outbox = await openOutbox({ folder });
  await outbox.append(Array.from({ length: 700 }, (_, index) => draft('verdict', index)));
  const records = await Array.fromAsync(exportRecords({ path, agentId: 'edge-01', fromSequence: 2 }));
  expect(records.map(numberOf)).toEqual(Array.from({ length: 699 }, (_, index) => index + 1));
  const seen = await outboxStats({ path, agentId: 'edge-01', bytesMax: 2e9, uplinks: [cloud] });
  const own = await outbox.stats();
  expect({ ...seen, hoursLeft: 0 }).toEqual({ ...own, hoursLeft: 0 });
  expect(seen.hoursLeft).toBeGreaterThan(0);
  await outbox.append([draft('verdict', 700)]);
});

test('a file that is not an outbox is reported as unreadable', async () => {
  const path = join(testFolder(), 'missing.db');
  await expect(outboxStats({ path, agentId: 'edge-01', bytesMax: 2e9, uplinks: [] })).rejects.toMatchObject({
    code: 'outbox-unavailable',
  });
});

test('the hours left follow the rate at which bytes come in', () => {
  const rate = new GrowthRate();
  for (let second = 0; second <= 30; second += 1) rate.add(1000, second * 1000);
  expect(rate.hoursLeft(3_600_000), 'too early to say').toBeUndefined();
  for (let second = 31; second <= 120; second += 1) rate.add(1000, second * 1000);
  expect(rate.hoursLeft(3_600_000)).toBeCloseTo(1, 1);
});
