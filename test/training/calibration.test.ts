import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitTemperature, logLoss, softmax } from '../../src/training/core/calibration.ts';
import { classMetrics } from '../../src/training/report/class-metrics.ts';
import { seededRandom } from './seeded-random.ts';

test('probabilities of a row add up to one, however large its logits', () => {
  const logit = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(logit, { minLength: 3, maxLength: 3 }), (logits) => {
      const probabilities = softmax(Float64Array.from(logits), 3);
      expect(probabilities.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 10);
      expect(probabilities.every((each) => each >= 0)).toBe(true);
    }),
  );
});

test('the loss is the loss of the probabilities', () => {
  const logits = Float64Array.of(1, 2, 0.5, -1, 0, 3);
  const probabilities = softmax(logits, 3, 1.7);
  const expected = -(Math.log(probabilities[1] ?? 0) + Math.log(probabilities[5] ?? 0)) / 2;
  expect(logLoss(logits, Float64Array.of(1, 2), 3, 1.7)).toBeCloseTo(expected, 10);
});

test.each([0.5, 2])('a fit that is overconfident by a factor of %f is calibrated', (factor) => {
  const { logits, labels } = honest(4000);
  const temperature = fitTemperature(
    logits.map((logit) => logit * factor),
    labels,
    3,
  );
  expect(temperature).toBeGreaterThan(factor * 0.85);
  expect(temperature).toBeLessThan(factor * 1.15);
  const before = softmax(
    logits.map((logit) => logit * factor),
    3,
  );
  const after = softmax(
    logits.map((logit) => logit * factor),
    3,
    temperature,
  );
  const error = (probabilities: Float64Array) => classMetrics(probabilities, labels, 3).calibrationError;
  expect(error(after)).toBeLessThan(error(before) / 2);
  expect(classMetrics(after, labels, 3).accuracy).toBe(classMetrics(before, labels, 3).accuracy);
});

/** Labels drawn with the probabilities of the logits. */
function honest(rows: number) {
  const random = seededRandom(7);
  const logits = Float64Array.from({ length: rows * 3 }, () => 3 * random());
  const probabilities = softmax(logits, 3);
  const labels = Float64Array.from({ length: rows }, (_, row) => {
    const draw = random();
    if (draw < (probabilities[row * 3] ?? 0)) return 0;
    return draw < (probabilities[row * 3] ?? 0) + (probabilities[row * 3 + 1] ?? 0) ? 1 : 2;
  });
  return { logits, labels };
}
