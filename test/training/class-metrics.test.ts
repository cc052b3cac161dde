import { expect, test } from 'vitest';
import { classMetrics, naiveProbabilities } from '../../src/training/report/class-metrics.ts';

/** One row for each name, wholly certain. */
function certain(named: readonly number[], classes: number): Float64Array {
  return Float64Array.from(
    named.flatMap((name) => Array.from({ length: classes }, (_, index) => Number(index === name))),
  );
}

test('macro F1 counts a rare class as much as a common one', () => {
  const labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
  const metrics = classMetrics(certain([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 2), labels, 2);
  expect(metrics.accuracy).toBeCloseTo(0.9);
  expect(metrics.f1[0]).toBeCloseTo(16 / 17);
  expect(metrics.f1[1]).toBeCloseTo(2 / 3);
  expect(metrics.macroF1).toBeCloseTo((16 / 17 + 2 / 3) / 2);
  expect([...metrics.confusion]).toEqual([8, 0, 1, 1]);
});

test('a class that is never named counts 0, and that it was impossible costs a finite loss', () => {
  const metrics = classMetrics(certain([0, 0], 3), [0, 2], 3);
  expect(metrics.f1[2]).toBe(0);
  expect(Number.isFinite(metrics.logLoss)).toBe(true);
});

test('the calibration error is how far certainty and truth lie apart', () => {
  const probabilities = Float64Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 0.75 : 0.25));
  expect(classMetrics(probabilities, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 2).calibrationError).toBeCloseTo(0.25);
  expect(classMetrics(probabilities, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1], 2).calibrationError).toBeCloseTo(0.05);
});

test('without a model every row gets the frequencies of the training labels', () => {
  expect([...naiveProbabilities([0, 1, 1, 1], 2, 2)]).toEqual([0.25, 0.75, 0.25, 0.75]);
});
