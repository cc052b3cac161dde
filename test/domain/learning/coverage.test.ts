import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Coverage } from '../../../src/domain/learning/coverage.ts';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

describe('coverage', () => {
  test('counts the minutes in which every tag had a value, and names the tag with the fewest', () => {
    const coverage = new Coverage(2, DAY, 0);
    for (let minute = 0; minute < 10; minute += 1) coverage.add(0, minute * MINUTE, DAY);
    for (const minute of [2, 3, 3, 7]) coverage.add(1, minute * MINUTE + 500, DAY);
    expect(coverage.coveredMs).toBe(3 * MINUTE);
    expect(coverage.tagMs()).toEqual([10 * MINUTE, 3 * MINUTE]);
    expect(coverage.firstMs).toBe(0);
  });

  test('a slow tag counts for as long as its value is held, but not into the future', () => {
    const coverage = new Coverage(1, DAY, 10 * MINUTE);
    coverage.add(0, 0, 4 * MINUTE);
    expect(coverage.coveredMs).toBe(5 * MINUTE);
    coverage.add(0, 0, 60 * MINUTE);
    expect(coverage.coveredMs).toBe(11 * MINUTE);
  });

  test.each([
    [10_000, 1000],
    [600_000, 6000],
    [30 * DAY, MINUTE],
  ])('%d ms are counted in steps of %d ms', (neededMs, bucketMs) => {
    expect(new Coverage(1, neededMs, 0).bucketMs).toBe(bucketMs);
  });

  test('never counts more than the tag with the fewest values, nor more than the time that passed', () => {
    const values = fc.array(fc.tuple(fc.nat(2), fc.nat(300)), { maxLength: 200 });
    fc.assert(
      fc.property(values, fc.nat(5), (added, heldMinutes) => {
        const coverage = new Coverage(3, DAY, heldMinutes * MINUTE);
        for (const [tag, minute] of added.toSorted((a, b) => a[1] - b[1])) coverage.add(tag, minute * MINUTE, DAY);
        expect(coverage.coveredMs).toBeLessThanOrEqual(Math.min(...coverage.tagMs()));
        expect(Math.max(...coverage.tagMs())).toBeLessThanOrEqual(306 * MINUTE);
      }),
    );
  });
});
