import Database from 'better-sqlite3';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rollup, RollupResolution } from '../../src/contracts/sample-history.ts';
import { BAD, GOOD, UNCERTAIN } from '../../src/domain/sample/quality.ts';
import { historyFormat } from '../../src/outbox/history/history-database.ts';
import { openDatabase } from '../../src/outbox/file/database-file.ts';
import { encodeSeries } from '../../src/outbox/history/series-codec.ts';
import { crc32 } from 'node:zlib';
import { openHistory, testFolder } from './outbox-fixture.ts';

/** A whole hour. */
const base = Math.ceil(1_800_000_000_000 / 3_600_000) * 3_600_000;
const [minute, hour] = [60_000, 3_600_000];

type Sample = { readonly tag: string; readonly timeMs: number; readonly value: number; readonly quality: number };
type History = ReturnType<typeof openHistory>;

function append(history: History, samples: readonly Sample[]): void {
  const byTag = [...Map.groupBy(samples, ({ tag }) => tag)];
  const all = byTag.flatMap(([, ofTag]) => ofTag);
  history.append({
    tags: byTag.map(([tag]) => tag),
    counts: byTag.map(([, { length }]) => length),
    timesMs: Float64Array.from(all, ({ timeMs }) => timeMs),
    values: Float64Array.from(all, ({ value }) => value),
    qualities: Uint8Array.from(all, ({ quality }) => quality),
  });
}

function rollup(history: History, resolution: RollupResolution, tag = 'a', fromMs = 0, toMs = 1e14): Rollup {
  return history.handlers.rollup({ tag, fromMs, toMs, resolution }) as Rollup;
}

/** The spans as rows: begin, minimum, maximum, mean, count, quality. */
function rows({ timesMs, minima, maxima, means, counts, qualities }: Rollup): readonly (readonly unknown[])[] {
  return Array.from(timesMs, (timeMs, index) => [
    timeMs,
    minima[index],
    maxima[index],
    means[index],
    counts[index],
    qualities[index],
  ]);
}

/** The same from the samples themselves. The last sample in time gives the quality; of two at one time, the later to arrive. */
function expected(samples: readonly Sample[], spanMs: number): readonly (readonly unknown[])[] {
  const bySpan = Map.groupBy(samples, ({ timeMs }) => Math.floor(timeMs / spanMs) * spanMs);
  return [...bySpan]
    .toSorted(([a], [b]) => a - b)
    .map(([begin, ofSpan]) => {
      const good = ofSpan.filter(({ quality }) => quality === GOOD).map(({ value }) => value);
      const last = ofSpan.reduce((a, b) => (b.timeMs >= a.timeMs ? b : a));
      const mean = good.reduce((sum, value) => sum + value, 0) / good.length;
      const [low, high] = good.length === 0 ? [Number.NaN, Number.NaN] : [Math.min(...good), Math.max(...good)];
      return [begin, low, high, mean, good.length, last.quality];
    });
}

function upkeepAll(history: History, nowMs: number): void {
  for (let slices = 0; slices < 10_000; slices += 1) if (!history.upkeep(nowMs).more) return;
  throw new Error('the upkeep does not end');
}

describe('rollups', () => {
  /*
   * Invariant: for any samples in order of time, in any flushes, with packing at any time, minutes and hours are exactly those
   * that the samples give.
   */
  test('minutes and hours are those of the samples', () => {
    const sample = fc.record({
      tag: fc.constantFrom('a', 'b'),
      timeMs: fc.integer({ min: base - 2 * hour, max: base + hour }),
      // Integers, so that sums do not depend on their order.
      value: fc.integer({ min: -1000, max: 1000 }),
      quality: fc.constantFrom(GOOD, GOOD, UNCERTAIN, BAD),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (samples, flush) => {
        const ordered = samples.toSorted((a, b) => a.timeMs - b.timeMs);
        const history = openHistory(testFolder());
        for (let from = 0; from < ordered.length; from += flush) {
          const part = ordered.slice(from, from + flush);
          append(history, part);
          upkeepAll(history, part.at(-1)?.timeMs ?? 0);
        }
        for (const tag of ['a', 'b']) {
          const ofTag = ordered.filter((each) => each.tag === tag);
          expect(rows(rollup(history, '1m', tag))).toEqual(expected(ofTag, minute));
          expect(rows(rollup(history, '1h', tag))).toEqual(expected(ofTag, hour));
        }
        history.stop();
      }),
      { numRuns: 30 },
    );
  });

  test('samples that arrive after their hour was packed are added to it', () => {
    const history = openHistory(testFolder());
    append(history, [{ tag: 'a', timeMs: base, value: 10, quality: GOOD }]);
    upkeepAll(history, base + 2 * hour);
    append(history, [{ tag: 'a', timeMs: base + 1, value: 20, quality: GOOD }]);
    append(history, [{ tag: 'a', timeMs: base + 5 * minute, value: 60, quality: UNCERTAIN }]);
    expect(rows(rollup(history, '1h'))).toEqual([[base, 10, 20, 15, 2, UNCERTAIN]]);
    upkeepAll(history, base + 2 * hour);
    expect(rows(rollup(history, '1h'))).toEqual([[base, 10, 20, 15, 2, UNCERTAIN]]);
    expect(rows(rollup(history, '1m'))).toEqual([
      [base, 10, 20, 15, 2, GOOD],
      [base + 5 * minute, Number.NaN, Number.NaN, Number.NaN, 0, UNCERTAIN],
    ]);
    history.stop();
  });

  test('a range has the spans that begin in it', () => {
    const history = openHistory(testFolder());
    append(
      history,
      Array.from({ length: 10 }, (_, index) => ({
        tag: 'a',
        timeMs: base + index * minute,
        value: index,
        quality: GOOD,
      })),
    );
    const times = [...rollup(history, '1m', 'a', base + 1, base + 3 * minute).timesMs];
    expect(times).toEqual([base + minute, base + 2 * minute, base + 3 * minute]);
    expect(rows(rollup(history, '1m', 'unknown'))).toEqual([]);
    history.stop();
  });

  test('an older file gets its rollups in the background, also across a restart', () => {
    const folder = testFolder();
    const old = openDatabase(join(folder, 'history.db'), 1e9);
    historyFormat.migrations[0]?.(old);
    old.pragma('user_version = 1');
    old.exec("INSERT INTO tag VALUES (1, 'a'), (2, 'b')");
    const insert = old.prepare(
      'INSERT INTO chunk (tag, full, from_ms, to_ms, count, checksum, data) VALUES (?, 0, ?, ?, ?, ?, ?)',
    );
    const samples: Sample[] = [];
    for (let chunk = 0; chunk < 60; chunk += 1) {
      const timesMs = Float64Array.from({ length: 50 }, (_, index) => base + (chunk * 50 + index) * 1000);
      const values = Float64Array.from({ length: 50 }, (_, index) => (chunk * 7 + index) % 13);
      const data = encodeSeries({ timesMs, values }, 50);
      insert.run(1 + (chunk % 2), timesMs[0], timesMs[49], 50, crc32(data), data);
      for (const [index, timeMs] of timesMs.entries())
        samples.push({ tag: 'ab'.charAt(chunk % 2), timeMs, value: values[index] ?? 0, quality: GOOD });
    }
    old.close();
    const first = openHistory(folder);
    expect(first.upkeep(base + 24 * hour).more).toBe(true);
    // A crash: nothing is closed. New samples arrive meanwhile.
    const second = openHistory(folder);
    const late = { tag: 'a', timeMs: base + 3000 * 1000, value: 99, quality: GOOD };
    append(second, [late]);
    upkeepAll(second, base + 24 * hour);
    for (const tag of ['a', 'b']) {
      const ofTag = [...samples, late].filter((each) => each.tag === tag);
      expect(rows(rollup(second, '1m', tag))).toEqual(expected(ofTag, minute));
      expect(rows(rollup(second, '1h', tag))).toEqual(expected(ofTag, hour));
    }
    second.stop();
    first.stop();
  });

  test('rollups stay when the samples have expired, and go after their own time', () => {
    const history = openHistory(testFolder(), { history: '1d', historyRollups: '10d' });
    append(history, [{ tag: 'a', timeMs: base, value: 1, quality: GOOD }]);
    upkeepAll(history, base + 5 * 24 * hour);
    expect(history.read('a').timesMs).toHaveLength(0);
    expect(rows(rollup(history, '1h'))).toHaveLength(1);
    upkeepAll(history, base + 11 * 24 * hour);
    expect(rows(rollup(history, '1h'))).toEqual([]);
    expect(rows(rollup(history, '1m'))).toEqual([]);
    history.stop();
  });

  test('a damaged rollup is omitted and reported', () => {
    const folder = testFolder();
    const history = openHistory(folder);
    append(history, [
      { tag: 'a', timeMs: base, value: 1, quality: GOOD },
      { tag: 'a', timeMs: base + hour, value: 2, quality: GOOD },
    ]);
    upkeepAll(history, base + 24 * hour);
    const file = new Database(join(folder, 'history.db'));
    file.exec('UPDATE hour SET high = high + 1 WHERE hour = (SELECT min(hour) FROM hour)');
    file.exec("UPDATE hour_minutes SET minutes = x'00' WHERE hour = (SELECT max(hour) FROM hour)");
    file.close();
    expect(rows(rollup(history, '1h'))).toEqual([[base + hour, 2, 2, 2, 1, GOOD]]);
    expect(rows(rollup(history, '1m'))).toEqual([[base, 1, 1, 1, 1, GOOD]]);
    expect(history.upkeep(base + 24 * hour).health).toMatchObject({ status: 'degraded' });
    history.stop();
  });
});
