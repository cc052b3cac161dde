import { describe, expect, test } from 'vitest';
import { lagMoments } from '../../src/training/wpca/lag-covariance.ts';
import { sliceRows, type TrainingRows, trainingRows } from '../../src/training/core/training-rows.ts';
import { defaultLags, fitWpca, windowRows, wpcaContributions, wpcaStatistics } from '../../src/training/wpca/wpca.ts';
import { detectorScores, trainWpca } from '../../src/training/wpca/wpca-detector.ts';
import { machineRows } from './machine.ts';
import { skabFiles, skabReference, skabRows } from './skab.ts';

describe('normal running is learned', () => {
  test('a held-out hour of the same machine raises next to no alarm, and a fault is found', () => {
    const detector = trainWpca([machineRows(3000, 1)]);
    const normal = detectorScores(detector, machineRows(3600, 2)).subarray(windowRows(detector.model));
    const faulty = detectorScores(detector, machineRows(1000, 3, 500)).subarray(600);
    expect(normal.filter((score) => score > 1).length / normal.length).toBeLessThan(0.01);
    expect(faulty.every((score) => score > 1)).toBe(true);
  });

  test('a spike in the training rows does not widen the limits', () => {
    const clean = machineRows(800, 4);
    const values = clean.values.slice();
    values[300 * 3] = 10_000;
    const limit = (rows: TrainingRows) => trainWpca([rows]).restLimit;
    expect(limit({ ...clean, values })).toBeCloseTo(limit(clean), 1);
  });

  test('the contributions of the tags add up to the statistic', () => {
    const rows = machineRows(500, 5);
    const model = fitWpca([rows]);
    const statistics = wpcaStatistics(model, rows);
    for (const statistic of ['drift', 'rest'] as const) {
      const parts = wpcaContributions(model, rows, statistic);
      const sums = statistics[statistic].map((_, row) =>
        parts.subarray(row * 3, row * 3 + 3).reduce((sum, part) => sum + part, 0),
      );
      sums.forEach((sum, row) => expect(sum).toBeCloseTo(statistics[statistic][row] ?? Number.NaN, 8));
    }
  });

  test('runs with a gap between them are learned without a window across the gap', () => {
    const rows = machineRows(1000, 6);
    const shifted = machineRows(1000, 7);
    const detector = trainWpca([rows, shifted, machineRows(20, 8)]);
    expect(
      detectorScores(detector, machineRows(500, 9))
        .subarray(60)
        .every((score) => score < 1),
    ).toBe(true);
  });
});

describe('rows that cannot be learned from are refused, with the numbers', () => {
  test.each([
    ['too few rows', machineRows(150, 1), 'training-too-few-rows', /150 training rows.* 200/],
    [
      'a missing value',
      withValue(machineRows(300, 1), 100 * 3 + 1, Number.NaN),
      'training-value-invalid',
      /row 100 .*tag 2/,
    ],
    [
      'more tags than any machine has',
      { count: 300, tags: 501, values: new Float64Array(300 * 501) },
      'training-too-many-tags',
      /501 tags/,
    ],
    [
      'a machine that stands still',
      trainingRows(Array.from({ length: 300 }, () => [1, 2])),
      'training-no-variance',
      /300/,
    ],
  ])('%s', (_, rows, code, message) => {
    expect(() => trainWpca([rows])).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  test('a tag that was seen to move only a few times is warned of', () => {
    const ramp = trainingRows(Array.from({ length: 400 }, (_, row) => [row, Math.sin(row)]));
    expect(trainWpca([ramp]).warnings).toEqual([expect.stringContaining('slowest tag')]);
    expect(trainWpca([machineRows(3000, 1)]).warnings).toEqual([]);
  });
});

test('many tags are stacked less deep, so that a fit stays affordable', () => {
  expect(defaultLags(100_000, 8)).toBe(20);
  expect(defaultLags(400, 8)).toBe(16);
  expect(defaultLags(100_000, 100)).toBe(6);
  expect(defaultLags(10, 8)).toBe(1);
});

test('the covariance by shifted products is the covariance of the stacked rows', () => {
  const segments = [machineRows(40, 1), machineRows(3, 2), machineRows(25, 3)];
  const lags = 5;
  const stacks = segments.flatMap(({ count, tags, values }) =>
    Array.from({ length: Math.max(count - lags + 1, 0) }, (_, first) =>
      Array.from({ length: lags * tags }, (__, feature) => {
        const row = first + lags - 1 - Math.floor(feature / tags);
        return values[row * tags + (feature % tags)] ?? Number.NaN;
      }),
    ),
  );
  const { count, means, covariance } = lagMoments(segments, lags);
  expect(count).toBe(stacks.length);
  const centred = stacks.map((stack) => stack.map((value, feature) => value - (means[feature] ?? 0)));
  for (let row = 0; row < lags * 3; row += 1) {
    for (let column = 0; column < lags * 3; column += 1) {
      const sum = centred.reduce((total, stack) => total + (stack[row] ?? 0) * (stack[column] ?? 0), 0);
      expect(covariance.get(row, column)).toBeCloseTo(sum / (count - 1), 6);
    }
  }
});

describe.skipIf(skabFiles.length === 0)('a real pump test bed is scored as by an independent implementation', () => {
  test.each(skabFiles)('SKAB valve1/%s', (file) => {
    const rows = skabRows(file);
    const detector = trainWpca([sliceRows(rows, 0, 400)]);
    const scores = detectorScores(detector, rows).subarray(400);
    const reference = skabReference(file);
    expect(scores).toHaveLength(reference.length);
    reference.forEach((expected, row) => {
      expect(Math.abs((scores[row] ?? Number.NaN) - expected), `row ${400 + row}`).toBeLessThan(1e-3 * expected);
    });
  });
});

function withValue(rows: TrainingRows, index: number, value: number): TrainingRows {
  const values = rows.values.slice();
  values[index] = value;
  return { ...rows, values };
}
