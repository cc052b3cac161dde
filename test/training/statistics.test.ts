import { expect, test } from 'vitest';
import { poissonInterval } from '../../src/training/core/statistics.ts';

/** Limits from tables of the chi-square distribution: χ²(0.025, 2n) / 2 and χ²(0.975, 2n + 2) / 2. */
test.each([
  [0, 0, 3.689],
  [1, 0.025, 5.572],
  [3, 0.619, 8.767],
  [10, 4.795, 18.39],
  [100, 81.36, 121.63],
])('of %d counted events the expected number is between %f and %f', (count, low, high) => {
  const interval = poissonInterval(count);
  expect(Math.abs(interval.low - low)).toBeLessThan(0.05);
  expect(Math.abs(interval.high - high)).toBeLessThan(0.05);
});
