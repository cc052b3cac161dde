import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import { BAD, GOOD, UNCERTAIN } from '../../src/domain/sample/quality.ts';
import { scoreSeries } from '../../src/contracts/sample-history.ts';
import { HistoryReader } from '../../src/outbox/history/history-reader.ts';
import { HistoryDatabase } from '../../src/outbox/history/history-database.ts';
import { SampleHistoryStore, thinned } from '../../src/outbox/sample-history.ts';
import type { HistoryStorage } from '../../src/outbox/history-storage.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { decodeSeries, encodeSeries } from '../../src/outbox/history/series-codec.ts';
import { testDeps } from '../support/test-deps.ts';
import { openHistory, startHistory, testFolder } from './outbox-fixture.ts';

const base = 1_800_000_000_000;
const tags = [
  { name: 'pump-1.pressure', source: 'plc' },
  { name: 'pump-1.current', source: 'plc' },
];

const lost = () => undefined;

function batchOf(...samples: readonly (readonly [tag: number, value: number, timeMs: number, quality?: 0 | 1 | 2])[]) {
  const batch = new SampleBatch(samples.length);
  for (const [tag, value, timeMs, quality = GOOD] of samples) batch.add(tag, value, timeMs, quality, 'out-of-range');
  return batch;
}

async function readyHistory(folder: string, deps: Deps): Promise<HistoryStorage> {
  const storage = startHistory(folder, deps);
  await expect.poll(() => storage.isConnected).toBe(true);
  return storage;
}

describe('chunks of samples', () => {
  test('values are stored exactly and times to the microsecond, for any value', () => {
    const sample = fc.record({ timeUs: fc.integer({ min: 0, max: 4.39e15 }), value: fc.double() });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 300 }), fc.boolean(), (samples, ordered) => {
        const taken = ordered ? samples.toSorted((a, b) => a.timeUs - b.timeUs) : samples;
        const timesMs = Float64Array.from(taken, ({ timeUs }) => timeUs / 1000);
        const values = Float64Array.from(taken, ({ value }) => value);
        const back = decodeSeries(encodeSeries({ timesMs, values }, taken.length));
        expect(new Uint8Array(back.values.buffer)).toEqual(new Uint8Array(values.buffer));
        for (const [index, timeMs] of back.timesMs.entries())
          expect(Math.round(timeMs * 1000)).toBe(Math.round((timesMs[index] ?? 0) * 1000));
      }),
    );
  });

  test('a steady signal takes a small part of its 16 bytes a sample', () => {
    const timesMs = Float64Array.from({ length: 8192 }, (_, index) => base + index * 100);
    const values = Float64Array.from({ length: 8192 }, (_, index) => Math.fround(5 + Math.sin(index / 50)));
    expect(encodeSeries({ timesMs, values }, 8192).length).toBeLessThan(8192 * 6);
  });
});

describe('the history', () => {
  test('keeps good samples only, by tag and time', async () => {
    const deps = testDeps();
    const history = new SampleHistoryStore({ storage: await readyHistory(testFolder(), deps), tags, lost, deps });
    history.add(batchOf([0, 4.5, base], [1, 12, base], [0, 99, base + 1, BAD], [0, 17, base + 2, UNCERTAIN]));
    history.add(batchOf([0, 4.6, base + 3], [7, 1, base + 3]));
    const series = await history.read(['pump-1.pressure', 'pump-1.current', 'unknown'], base, base + 10);
    expect(series.map(({ tag, values }) => [tag, [...values]])).toEqual([
      ['pump-1.pressure', [4.5, 4.6]],
      ['pump-1.current', [12]],
      ['unknown', []],
    ]);
    await history[Symbol.asyncDispose]();
  });

  test('keeps minutes of tags with their last quality, and of the scores of watches', async () => {
    const deps = testDeps();
    const folder = testFolder();
    const history = new SampleHistoryStore({ storage: await readyHistory(folder, deps), tags, lost, deps });
    const minuteMs = Math.ceil(base / 60_000) * 60_000;
    history.add(batchOf([0, 4, minuteMs], [0, 6, minuteMs + 1], [0, 99, minuteMs + 2, BAD]));
    history.addScore({ watch: 'pump-1', timestampMs: minuteMs, score: 0.5 });
    history.addScore({ watch: 'pump-1', timestampMs: minuteMs + 1, score: undefined });
    const rollups = await history.rollups(['pump-1.pressure', scoreSeries('pump-1')], 0, 1e14, '1m');
    expect(rollups.map(({ tag, means, counts, qualities }) => [tag, means[0], counts[0], qualities[0]])).toEqual([
      ['pump-1.pressure', 5, 2, BAD],
      ['score/pump-1', 0.5, 1, BAD],
    ]);
    using reader = new HistoryReader(join(folder, 'history.db'));
    expect(reader.tags()).toEqual(['pump-1.pressure']);
  });

  test('samples that were flushed survive a restart', async () => {
    const folder = testFolder();
    const deps = testDeps();
    const first = await readyHistory(folder, deps);
    const writing = new SampleHistoryStore({ storage: first, tags, lost, deps });
    writing.add(batchOf([0, 1, base], [0, 2, base + 1]));
    await writing[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    const second = await readyHistory(folder, deps);
    const reading = new SampleHistoryStore({ storage: second, tags, lost, deps });
    const [pressure] = await reading.read(['pump-1.pressure'], 0, 1e15);
    expect([...(pressure?.values ?? [])]).toEqual([1, 2]);
  });

  test('a caller of flush waits until its own samples are stored, also behind another caller', async () => {
    const sends: PromiseWithResolvers<void>[] = [];
    const storage = {
      flushIntervalMs: 3_600_000,
      isConnected: true,
      reportBacklog: () => undefined,
      append: () => {
        const send = Promise.withResolvers<void>();
        sends.push(send);
        return send.promise;
      },
      read: () => Promise.reject(new Error('not asked here')),
      rollup: () => Promise.reject(new Error('not asked here')),
    };
    const history = new SampleHistoryStore({ storage, tags, lost, deps: testDeps() });
    history.add(batchOf([0, 1, base]));
    const first = history.flush();
    await expect.poll(() => sends).toHaveLength(1);
    history.add(batchOf([0, 2, base + 1]));
    const resolved: string[] = [];
    const others = ['timer', 'source'].map((name) => history.flush().then(() => resolved.push(name)));
    sends[0]?.resolve();
    await first;
    await expect.poll(() => sends).toHaveLength(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(resolved).toEqual([]);
    sends[1]?.resolve();
    await Promise.all(others);
  });

  /*
   * Invariant: for any sizes of flushes, any joins and any requested span, a read gives exactly the
   * samples of that span, in time order, also if the clock went back.
   */
  test('a read gives exactly the samples of its span', () => {
    const folder = testFolder();
    let run = 0;
    const flush = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 40 });
    const span = fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 5000 }));
    fc.assert(
      fc.property(fc.array(flush, { maxLength: 12 }), fc.array(span, { maxLength: 5 }), (flushes, spans) => {
        const database = new HistoryDatabase(join(folder, `history-${(run += 1)}.db`), 1e7);
        const expected: { readonly time: number; readonly value: number }[] = [];
        for (const times of flushes) {
          const samples = times.map((time, index) => ({ time, value: expected.length + index }));
          expected.push(...samples);
          database.append({
            id: `${expected.length}`,
            tags: ['a'],
            counts: [times.length],
            timesMs: Float64Array.from(times),
            values: Float64Array.from(samples, ({ value }) => value),
            qualities: new Uint8Array(samples.length),
          });
          if (run % 2 === 0) database.join();
        }
        for (const [fromMs, toMs] of spans) {
          const page = database.page({ tag: 'a', fromMs, toMs, limit: undefined, after: undefined });
          const within = expected.filter(({ time }) => time >= fromMs && time <= toMs);
          expect([...page.timesMs]).toEqual(within.map(({ time }) => time).toSorted((a, b) => a - b));
          expect([...page.values].toSorted((a, b) => a - b)).toEqual(
            within.map(({ value }) => value).toSorted((a, b) => a - b),
          );
        }
        database.close();
      }),
      { numRuns: 40 },
    );
  });

  test('a long read comes in pages that neither overlap nor leave a gap, also across joins', () => {
    const database = new HistoryDatabase(join(testFolder(), 'history.db'), 1e9);
    const count = 20_000;
    for (let flush = 0; flush < 50; flush += 1)
      database.append({
        id: `${flush}`,
        tags: ['a'],
        counts: [count],
        timesMs: Float64Array.from({ length: count }, (_, index) => base + flush * count + index),
        values: Float64Array.from({ length: count }, (_, index) => flush * count + index),
        qualities: new Uint8Array(count),
      });
    const values: number[] = [];
    let after: number | undefined;
    let pages = 0;
    do {
      const page = database.page({ tag: 'a', fromMs: 0, toMs: 1e15, limit: undefined, after });
      for (const value of page.values) values.push(value);
      after = page.next;
      pages += 1;
      database.join();
    } while (after !== undefined);
    expect(pages).toBeGreaterThan(2);
    expect(values).toHaveLength(50 * count);
    expect(values.every((value, index) => value === index)).toBe(true);
    database.close();
  });

  test('thinning keeps to the limit, with the first and the last sample', () => {
    const column = Float64Array.from({ length: 1001 }, (_, index) => index);
    expect([...thinned(column, 5)]).toEqual([0, 250, 500, 750, 1000]);
    expect(thinned(column, 2000)).toHaveLength(1001);
    expect(thinned(column, 0)).toHaveLength(0);
  });

  test('a thinned read of a long span is even, and within its limit', async () => {
    const deps = testDeps();
    const history = new SampleHistoryStore({ storage: await readyHistory(testFolder(), deps), tags, lost, deps });
    for (let part = 0; part < 5; part += 1) {
      const batch = new SampleBatch(10_000);
      for (let index = 0; index < 10_000; index += 1)
        batch.add(0, part, base + (part * 10_000 + index) * 10, GOOD, 'none');
      history.add(batch);
      await history.flush();
    }
    const [series] = await history.read(['pump-1.pressure'], base, base + 1e9, 100);
    const times = [...(series?.timesMs ?? [])];
    expect(times.length).toBeGreaterThan(90);
    expect(times.length).toBeLessThanOrEqual(100);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(2 * Math.min(...gaps) + 1000);
    await history[Symbol.asyncDispose]();
  });

  test('samples older than the history go, newer ones stay', () => {
    const history = openHistory(testFolder(), { history: '1d' });
    const append = (timeMs: number) =>
      history.append({
        tags: ['a'],
        counts: [1],
        timesMs: Float64Array.of(timeMs),
        values: Float64Array.of(1),
      });
    append(base);
    append(base + 2 * 86_400_000);
    for (let slices = 0; history.upkeep(base + 2 * 86_400_000).more && slices < 100; slices += 1);
    expect(history.read('a')).toMatchObject({ timesMs: Float64Array.of(base + 2 * 86_400_000) });
    history.stop();
  });

  test('a full history drops its oldest samples and takes the new ones', () => {
    const history = openHistory(testFolder(), { historyMaxSize: '1MB' });
    for (let flush = 0; flush < 60; flush += 1)
      history.append({
        tags: ['a'],
        counts: [5000],
        timesMs: Float64Array.from({ length: 5000 }, (_, index) => base + flush * 5000 + index),
        values: Float64Array.from({ length: 5000 }, () => Math.random()),
      });
    const { timesMs, next } = history.read('a');
    expect(next).toBeUndefined();
    expect(timesMs.at(-1)).toBe(base + 60 * 5000 - 1);
    expect(timesMs[0]).toBeGreaterThan(base);
    history.stop();
  });
});

test('a tag that is not kept is ignored, and a tag that gets its name during the run is stored under it', async () => {
  const deps = testDeps();
  const growing = [...tags, { name: '', source: 'cell' }];
  const storage = await readyHistory(testFolder(), deps);
  const history = new SampleHistoryStore({
    storage,
    tags: growing,
    keeps: ({ source }) => source === 'cell',
    lost,
    deps,
  });
  growing[2] = { name: 'pump-2.vibration', source: 'cell' };
  history.add(batchOf([0, 1, base], [2, 2, base]));
  const series = await history.read(['pump-1.pressure', 'pump-2.vibration'], 0, 1e15);
  expect(series.map(({ values }) => [...values])).toEqual([[], [2]]);
});
