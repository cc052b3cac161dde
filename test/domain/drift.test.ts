import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  distributionBin,
  distributionOf,
  MAJOR_DRIFT,
  populationStabilityIndex,
} from '../../src/domain/model/drift.ts';

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 });

test('the shares of a distribution add up to one, one more than its edges, and every value has a bin', () => {
  fc.assert(
    fc.property(values, fc.double({ noNaN: true }), (sample, value) => {
      const distribution = distributionOf(Float64Array.from(sample));
      expect(distribution.shares.length).toBe(distribution.edges.length + 1);
      expect(distribution.shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
      expect(distribution.shares[distributionBin(distribution, value)]).toBeTypeOf('number');
    }),
  );
});

test('the training data has no drift, also if it is counted several times', () => {
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 50 }), (sample, times) => {
      const distribution = distributionOf(Float64Array.from(sample));
      const counts = Float64Array.from(distribution.shares, (share) => Math.round(share * sample.length) * times * 100);
      expect(populationStabilityIndex(counts, distribution)).toBeLessThan(0.01);
    }),
  );
});

test('an index is never negative', () => {
  fc.assert(
    fc.property(values, fc.array(fc.nat(1000), { minLength: 10, maxLength: 10 }), (sample, seen) => {
      const distribution = distributionOf(Float64Array.from(sample));
      const counts = Float64Array.from(seen.slice(0, distribution.shares.length));
      expect(populationStabilityIndex(counts, distribution)).toBeGreaterThanOrEqual(-1e-12);
    }),
  );
});

test('a tag that left its range permanently is a major drift', () => {
  const distribution = distributionOf(Float64Array.from({ length: 1000 }, (_, index) => index));
  const counts = new Float64Array(distribution.shares.length);
  counts[counts.length - 1] = 500;
  expect(populationStabilityIndex(counts, distribution)).toBeGreaterThan(MAJOR_DRIFT);
});

test('a shift of 0.5 standard deviations is detected, a shift of 0.05 is not', () => {
  const normal = (shift: number) =>
    Float64Array.from({ length: 5000 }, (_, index) => shift + gaussianQuantile((index + 0.5) / 5000));
  const reference = distributionOf(normal(0));
  const index = (shift: number) => {
    const counts = new Float64Array(reference.shares.length);
    for (const value of normal(shift)) {
      const bin = distributionBin(reference, value);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return populationStabilityIndex(counts, reference);
  };
  expect(index(0.05)).toBeLessThan(0.1);
  expect(index(0.6)).toBeGreaterThan(MAJOR_DRIFT);
});

/** Bisection of the logistic approximation, which is precise enough for bins. */
function gaussianQuantile(share: number): number {
  let low = -6;
  let high = 6;
  for (let step = 0; step < 50; step += 1) {
    const middle = (low + high) / 2;
    if (1 / (1 + Math.exp(-1.702 * middle)) < share) low = middle;
    else high = middle;
  }
  return low;
}
