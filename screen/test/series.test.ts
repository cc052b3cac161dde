// @vitest-environment happy-dom
import { describe, expect, test } from 'vitest';
import type { Verdict } from '../src/agent/api-types.ts';
import { appendSeries, resolutionFor, tailFromMs } from '../src/agent/history.ts';
import { contributionColumns } from '../src/machine/contribution-columns.ts';
import { verdictMarks } from '../src/machine/verdict-marks.ts';
import { chartColumns } from '../src/parts/series-columns.ts';

const HOUR_MS = 3_600_000;
const verdict = (timestamp_ms: number, name: Verdict['verdict'], contributions: Verdict['contributions'] = []) =>
  ({ timestamp_ms, verdict: name, contributions }) as Verdict;

describe('columns of a chart', () => {
  test('series with other times share one axis', () => {
    const series = [
      { tag: 'a', timestamps_ms: [1000, 3000], values: [1, 3] },
      { tag: 'b', timestamps_ms: [2000, 3000], values: [20, 30] },
    ];
    expect(chartColumns(series)).toEqual([
      [1, 2, 3],
      [1, undefined, 3],
      [undefined, 20, 30],
    ]);
  });

  test('a missing minute is a gap, and not a line', () => {
    const rollup = {
      tag: 'a',
      timestamps_ms: [0, 60_000, 180_000],
      mean: [1, 2, 4],
      max: [2, 3, 5],
      min: [0, 1, 3],
      count: [60, 60, 60],
      quality: ['good' as const, 'good' as const, 'good' as const],
    };
    expect(chartColumns([rollup])).toEqual([
      [0, 60, 120, 180],
      [1, 2, null, 4],
      [2, 3, null, 5],
      [0, 1, null, 3],
    ]);
  });

  test('samples that follow are added, and those before the range removed', () => {
    const own = [{ tag: 'a', timestamps_ms: [1, 2, 3], values: [1, 2, 3] }];
    const more = [{ tag: 'a', timestamps_ms: [4], values: [4] }];
    expect(appendSeries(own, more, 2)).toEqual([{ tag: 'a', timestamps_ms: [2, 3, 4], values: [2, 3, 4] }]);
  });

  test('samples of the tail that are known are not added again, and those too close together are left out', () => {
    const own = [{ tag: 'a', timestamps_ms: [0, 1000], values: [0, 1] }];
    const tail = [{ tag: 'a', timestamps_ms: [1000, 1100, 2000, 2500], values: [1, 9, 2, 9] }];
    const rangeMs = 5_000_000;
    expect(appendSeries(own, tail, 0, rangeMs)).toEqual([
      { tag: 'a', timestamps_ms: [0, 1000, 2000], values: [0, 1, 2] },
    ]);
  });

  test('the last minute of a rollup is replaced, since it was not over', () => {
    const rollup = (timestamps_ms: number[], count: number[]) => {
      const values = timestamps_ms.map(() => 1);
      const quality = timestamps_ms.map(() => 'good' as const);
      return { tag: 'a', timestamps_ms, mean: values, max: values, min: values, count, quality };
    };
    const own = [rollup([0, 60_000, 120_000], [60, 60, 7])];
    expect(tailFromMs(own)).toBe(120_000);
    expect(appendSeries(own, [rollup([120_000, 180_000], [60, 1])], 60_000)).toEqual([
      rollup([60_000, 120_000, 180_000], [60, 60, 1]),
    ]);
  });

  test('the tail of samples begins before the newest one, as sources deliver one after another', () => {
    const series = [
      { tag: 'a', timestamps_ms: [50_000], values: [1] },
      { tag: 'dead', timestamps_ms: [1000], values: [1] },
      { tag: 'empty', timestamps_ms: [], values: [] },
    ];
    expect(tailFromMs(series)).toBe(40_000);
    expect(tailFromMs([])).toBe(undefined);
  });
});

test('a longer range has a coarser resolution, so that its answer is small', () => {
  expect(resolutionFor(HOUR_MS, 1000)).toBe('samples');
  expect(resolutionFor(HOUR_MS, 500)).toBe('1m');
  expect(resolutionFor(48 * HOUR_MS, 1000)).toBe('1m');
  expect(resolutionFor(49 * HOUR_MS, 1000)).toBe('1h');
});

test('the background is marked while verdicts are abnormal or unknown', () => {
  const verdicts = [
    verdict(1, 'normal'),
    verdict(2, 'abnormal'),
    verdict(3, 'abnormal'),
    verdict(4, 'normal'),
    verdict(5, 'unknown'),
  ];
  expect(verdictMarks(verdicts, 9)).toEqual([
    { fromMs: 2, toMs: 4, color: '--high' },
    { fromMs: 5, toMs: 9, color: '--strong' },
  ]);
});

test('the tags that contribute most have a line each, with gaps where no verdict was made', () => {
  const verdicts = [
    verdict(1000, 'normal', [
      { tag: 'a', share: 0.6 },
      { tag: 'b', share: 0.4 },
    ]),
    verdict(2000, 'unknown'),
    verdict(3000, 'abnormal', [
      { tag: 'b', share: 0.9 },
      { tag: 'c', share: 0.1 },
    ]),
  ];
  expect(contributionColumns(verdicts, 2)).toEqual({
    tags: ['b', 'a'],
    data: [
      [1, 2, 3],
      [0.4, null, 0.9],
      [0.6, null, 0],
    ],
  });
});
