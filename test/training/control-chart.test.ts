import { describe, expect, test } from 'vitest';
import {
  controlChartAlgorithm,
  chartScores,
  trainControlChart,
} from '../../src/training/control-chart/control-chart.ts';
import { sliceRows, type TrainingRows } from '../../src/training/core/training-rows.ts';
import { parityGap } from './graph-parity.ts';
import { machineRows } from './machine.ts';

describe('a control chart of normal running', () => {
  test('raises no alarm while the tag stays in its range, even if it moves slowly', () => {
    const chart = trainControlChart([oneTag(machineRows(3000, 1), 2)]);
    const scores = chartScores(chart, oneTag(machineRows(6000, 2), 2));
    expect(scores.filter((score) => score > 1).length / scores.length).toBeLessThan(0.01);
  });

  test('notices a tag that left its place by a few deviations, within a window', () => {
    const level = oneTag(machineRows(2000, 1), 1);
    const chart = trainControlChart([level]);
    const moved = { ...level, values: level.values.map((value, row) => value + (row < 1000 ? 0 : 6)) };
    const scores = chartScores(chart, moved);
    const first = 1000 - (chart.weights.length - 1);
    expect(scores.subarray(first).findIndex((score) => score > 1)).toBeLessThan(chart.weights.length);
    expect(scores[first + 100]).toBeGreaterThan(1);
  });

  test('looks at no row later than the one it judges', () => {
    const rows = machineRows(1000, 3);
    const chart = trainControlChart([rows]);
    const early = chartScores(chart, sliceRows(rows, 0, 500));
    expect(chartScores(chart, rows).slice(0, early.length)).toEqual(early);
  });

  test('takes its limits from rows outside its mean: a drifting run has wide limits', () => {
    const rows = oneTag(machineRows(2000, 1), 0);
    const drifting = { ...rows, values: rows.values.map((value, row) => value + row / 10) };
    const [still = 0] = trainControlChart([rows]).limits;
    expect(trainControlChart([drifting]).limits[0]).toBeGreaterThan(0);
    expect(trainControlChart([drifting]).independentSpans).toBeLessThan(5);
    expect(trainControlChart([drifting]).warnings).toHaveLength(1);
    expect(still).toBeLessThan(4);
  });

  test('blames the tag that left', async () => {
    const fitted = await fit(machineRows(1500, 1));
    const shares = fitted.explain?.(sliceRows(machineRows(1000, 2, 500), 900, 900 + fitted.windowRows));
    expect(shares?.indexOf(Math.max(...shares))).toBe(1);
  });

  test('ignores a constant tag, and refuses training if all are constant', async () => {
    const rows = machineRows(500, 1);
    const half = { ...rows, values: rows.values.map((value, index) => (index % 3 === 1 ? 42.1 : value)) };
    const fitted = await fit(half);
    expect(fitted.judge(half).scores.every(Number.isFinite)).toBe(true);
    expect(() => trainControlChart([{ ...rows, values: rows.values.map(() => 42.1) }])).toThrow(/None of the 3 tags/);
  });

  test.each([5, undefined, 100])('is the same in its graph, over a window of %s rows', async (windowRows) => {
    const fitted = await fit(machineRows(1000, 4), windowRows);
    expect(fitted.windowRows).toBe(windowRows ?? 21);
    const float32 = { ...machineRows(600, 5, 300), values: machineRows(600, 5, 300).values.map(Math.fround) };
    const gap = await parityGap(fitted, float32);
    expect(gap.score).toBeLessThan(1e-5);
    expect(gap.contributions).toBeLessThan(1e-5);
  });
});

function fit(rows: TrainingRows, windowRows?: number) {
  return controlChartAlgorithm.fit({
    task: 'anomaly',
    segments: [rows],
    targets: undefined,
    classes: [],
    windowRows,
    seed: 1,
    onProgress: () => undefined,
  });
}

function oneTag({ count, tags, values }: TrainingRows, tag: number): TrainingRows {
  return { count, tags: 1, values: values.filter((_, index) => index % tags === tag) };
}
