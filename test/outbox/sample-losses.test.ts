import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Unstored } from '../../src/contracts/record-store.ts';
import { GOOD } from '../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import type { HistoryBacklog, HistoryBatch, SampleStorage } from '../../src/outbox/history/history-protocol.ts';
import { SampleHistoryStore } from '../../src/outbox/sample-history.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { exportRecords } from '../../src/outbox/records/outbox-reader.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { lockedByAnotherProgram } from './locking-program.ts';
import { openHistory, openOutbox, openStorage, startHistory, testFolder } from './outbox-fixture.ts';

const base = 1_800_000_000_000;
const tags = [
  { name: 'pump-1.pressure', source: 'plc' },
  { name: 'pump-1.vibration', source: 'cell' },
];

/** A good sample of each tag at each of `count` times. */
function samples(fromMs: number, count: number): SampleBatch {
  const batch = new SampleBatch(2 * count);
  for (let index = 0; index < count; index += 1)
    for (const tag of tags.keys()) batch.add(tag, index, fromMs + index, GOOD, 'none');
  return batch;
}

/** A storage that refuses with `refusal`, and keeps what it accepts. */
class RefusingStorage implements SampleStorage {
  readonly flushIntervalMs = 5000;
  readonly isConnected = true;
  readonly stored: HistoryBatch[] = [];
  refusal: OperatingError | undefined;
  backlog: HistoryBacklog | undefined;

  append(batch: HistoryBatch): Promise<void> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.stored.push(batch);
    return Promise.resolve();
  }

  reportBacklog(backlog: HistoryBacklog): void {
    this.backlog = backlog;
  }

  read = () => Promise.reject(new Error('not requested here'));
  rollup = () => Promise.reject(new Error('not requested here'));
}

function refusedHistory() {
  const clock = new FakeClock();
  const deps = testDeps(clock);
  const storage = new RefusingStorage();
  storage.refusal = new OperatingError('outbox-unavailable', 'retry', 'No space is left on the disk');
  const losses: (Unstored & { readonly reason: string })[] = [];
  const lost = (each: readonly Unstored[], reason: string): void => {
    losses.push(...each.map((loss) => ({ ...loss, reason })));
  };
  const history = new SampleHistoryStore({ storage, tags, lost, deps });
  const counted = (reason: string) => metricValue(deps, `andon_history_samples_dropped_total{reason="${reason}"}`);
  return { clock, storage, losses, history, counted };
}

function total(losses: readonly Unstored[]): number {
  return losses.reduce((sum, { count = 1 }) => sum + count, 0);
}

test('a history that another program has locked waits in memory, health names the program, and all of it is stored', async () => {
  const folder = testFolder();
  const deps = testDeps();
  const storage = startHistory(folder, deps);
  await expect.poll(() => storage.isConnected).toBe(true);
  const losses: Unstored[] = [];
  const lost = (each: readonly Unstored[]): void => void losses.push(...each);
  const history = new SampleHistoryStore({ storage, tags, lost, deps });
  const program = await lockedByAnotherProgram(join(folder, 'history.db'));
  history.add(samples(base, 50));
  await history.flush();
  expect(history.isRefused).toBe(true);
  history.add(samples(base + 50, 50));
  const health = () => deps.health.components().find(({ name }) => name === 'history');
  await expect
    .poll(() => health()?.reason)
    .toMatch(new RegExp(`history\\.db locked: .*process ${program.pid}.*; 200 samples wait in memory$`));
  await program.end();
  await expect.poll(() => history.flush().then(() => history.isRefused)).toBe(false);
  const series = await history.read(['pump-1.pressure', 'pump-1.vibration'], 0, 1e15);
  expect(series.map(({ timesMs }) => timesMs.length)).toEqual([100, 100]);
  expect(losses).toEqual([]);
  await expect.poll(() => health()?.status).toBe('ok');
  await history[Symbol.asyncDispose]();
});

test('refused samples are sent again in their order, and newer ones after them', async () => {
  const { clock, storage, losses, history } = refusedHistory();
  history.add(samples(base, 10));
  await history.flush();
  history.add(samples(base + 10, 10));
  expect(storage.backlog).toEqual({ waiting: 20, dropped: 0 });
  storage.refusal = undefined;
  await clock.advance(1000);
  expect(storage.stored.map(({ timesMs }) => timesMs[0])).toEqual([base, base + 10]);
  expect(storage.backlog).toEqual({ waiting: 0, dropped: 0 });
  expect(losses).toEqual([]);
});

test('samples beyond the limit of memory are lost, and reported by source with their times', async () => {
  const { clock, storage, losses, history, counted } = refusedHistory();
  for (let second = 0; second < 101; second += 1) history.add(samples(base + second * 5000, 5000));
  await history.flush();
  expect(total(losses)).toBe(10_000);
  expect(await counted('history-queue-full')).toBe(10_000);
  expect(storage.backlog).toEqual({ waiting: 1_000_000, dropped: 10_000 });
  expect(new Set(losses.map(({ kind, reason }) => `${kind} ${reason}`))).toEqual(
    new Set(['history history-queue-full']),
  );
  for (const { source } of tags) {
    const own = losses.filter(({ watch }) => watch === source);
    expect(total(own)).toBe(5000);
    expect(Math.min(...own.map(({ timestampMs }) => timestampMs))).toBe(base + 500_000);
    expect(Math.max(...own.map(({ toMs, timestampMs }) => toMs ?? timestampMs))).toBe(base + 504_999);
  }
  storage.refusal = undefined;
  await clock.advance(1000);
  expect(storage.stored.reduce((sum, { timesMs }) => sum + timesMs.length, 0)).toBe(1_000_000);
  expect(storage.backlog).toEqual({ waiting: 0, dropped: 0 });
});

test('a batch that can never be stored is lost and does not stop the others', async () => {
  const { storage, losses, history } = refusedHistory();
  storage.refusal = new OperatingError('history-full', 'reject', 'does not fit');
  history.add(samples(base, 10));
  await history.flush();
  expect(total(losses)).toBe(20);
  expect(losses[0]).toEqual({
    kind: 'history',
    watch: 'plc',
    timestampMs: base,
    toMs: base + 9,
    count: 10,
    reason: 'history-full',
  });
  storage.refusal = undefined;
  history.add(samples(base + 10, 1));
  await history.flush();
  expect(storage.stored).toHaveLength(1);
});

test('samples that a stop leaves are in a loss record of the box, which no uplink gets', async () => {
  const folder = testFolder();
  const deps = testDeps();
  const outbox = await openOutbox({ folder, deps });
  const storage = startHistory(folder, deps);
  await expect.poll(() => storage.isConnected).toBe(true);
  const history = new SampleHistoryStore({ storage, tags, lost: (each, reason) => outbox.lost(each, reason), deps });
  const program = await lockedByAnotherProgram(join(folder, 'history.db'));
  history.add(samples(base, 30));
  await history[Symbol.asyncDispose]();
  await program.end();
  await outbox[Symbol.asyncDispose]();
  const second = await openOutbox({ folder });
  await expect.poll(async () => (await lossesIn(folder)).length).toBe(1);
  expect(await lossesIn(folder)).toMatchObject([
    {
      uplink: null,
      records: 'history',
      reason: 'agent-stopped',
      count: 60,
      ranges: [],
      from_ms: base,
      to_ms: base + 29,
      watches: {},
      sources: { plc: 30, cell: 30 },
    },
  ]);
  expect((await second.stats()).lost, 'no record was lost').toBe(0);
  const kinds = ['verdict', 'sample', 'loss'] as const;
  const limits = { recordsMax: 10, bytesMax: 1e6 };
  expect(
    await second.readers.read({ uplink: 'cloud', lane: 'backlog', kinds, limits, batchesMax: 1, after: undefined }),
  ).toEqual([]);
});

async function lossesIn(folder: string) {
  const found: unknown[] = [];
  for await (const record of exportRecords({ path: join(folder, 'outbox.db'), agentId: 'edge-01', kinds: ['loss'] }))
    found.push(JSON.parse(record.body));
  return found;
}

test('a batch that is larger than the history is refused for good', () => {
  const history = openHistory(testFolder(), { historyMaxSize: '1MB' });
  const count = 300_000;
  const batch = {
    tags: ['a'],
    counts: [count],
    timesMs: Float64Array.from({ length: count }, () => base + Math.random() * 1e9),
    values: Float64Array.from({ length: count }, () => Math.random()),
  };
  expect(() => history.append(batch)).toThrow(expect.objectContaining({ code: 'history-full', disposition: 'reject' }));
  history.append({ tags: ['a'], counts: [1], timesMs: Float64Array.of(base), values: Float64Array.of(1) });
  history.stop();
});

test('losses are reported within seconds after the clock was set back', async () => {
  const folder = testFolder();
  const storage = openStorage(folder, { uplinks: [] });
  const losses = [
    { kind: 'history', reason: 'history-queue-full', count: 1, fromMs: 1, toMs: 1, watches: {} },
  ] as const;
  for (const [number, nowMs] of [base, base - 7_200_000].entries()) {
    void storage.handlers.lost({ life: 'a', number, losses, nowMs });
    storage.upkeep(nowMs);
  }
  storage.stop();
  expect(await lossesIn(folder)).toMatchObject([{ count: 2 }]);
});

test('a damaged history is replaced by a new one, and health says where the old one is until the next start', () => {
  const folder = testFolder();
  writeFileSync(join(folder, 'history.db'), 'x'.repeat(8192));
  const history = openHistory(folder);
  history.append({ tags: ['a'], counts: [1], timesMs: Float64Array.of(base), values: Float64Array.of(1) });
  expect([...history.read('a').values]).toEqual([1]);
  expect(history.upkeep().health).toEqual({
    status: 'degraded',
    reason: expect.stringContaining(`was moved to ${join(folder, 'history.db.quarantine')}`),
  });
  history.stop();
  const second = openHistory(folder);
  expect(second.upkeep().health.status).toBe('ok');
  second.stop();
});
