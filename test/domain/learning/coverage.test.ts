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

  test('forgets what is older than two learning times, and counts it as collected', () => {
    const coverage = new Coverage(2, 100 * MINUTE, 0);
    for (let minute = 0; minute < 1000; minute += 1)
      for (const tag of [0, 1]) coverage.add(tag, minute * MINUTE, minute * MINUTE);
    expect(coverage.coveredMs).toBe(201 * MINUTE);
    expect(coverage.tagMs()).toEqual([201 * MINUTE, 201 * MINUTE]);
    expect(coverage.collectedMs).toBe(1000 * MINUTE);
    expect(coverage.firstMs).toBe(799 * MINUTE);
    coverage.add(0, 1200 * MINUTE, 1200 * MINUTE);
    expect([coverage.coveredMs, coverage.tagMs()]).toEqual([0, [MINUTE, 0]]);
  });

  test('continues after the clock was a year ahead', () => {
    const coverage = new Coverage(1, DAY, 0);
    for (const dayMs of [0, 365 * DAY, DAY / 2])
      for (let minute = 0; minute < 10; minute += 1) coverage.add(0, dayMs + minute * MINUTE, dayMs + minute * MINUTE);
    expect(coverage.coveredMs).toBe(10 * MINUTE);
    expect(coverage.firstMs).toBe(0);
  });

  test('does not count a minute twice if the clock is set back within it', () => {
    const coverage = new Coverage(1, DAY, 0);
    for (const minute of [0, 1, 2, 0, 1, 2, 3]) coverage.add(0, minute * MINUTE, minute * MINUTE);
    expect(coverage.coveredMs).toBe(4 * MINUTE);
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
