import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { breachOf, type RecentCounts, RecentRolloutCounts } from '../../src/domain/rollout/rollout-rules.ts';

const rules = {
  periodMs: 3_600_000,
  minWindows: 100,
  alarmFactor: 3,
  alarmFloor: 5,
  crashes: 1,
  deadlineMisses: 3,
  invalidOutputs: 3,
};
const well: RecentCounts = {
  windows: 1000,
  candidateAbnormal: 10,
  incumbentAbnormal: 10,
  crashes: 0,
  deadlineMisses: 0,
  invalidOutputs: 0,
};

describe('a candidate is stopped', () => {
  test.each<readonly [string, Partial<RecentCounts>, string | undefined]>([
    ['not if it does what the incumbent does', {}, undefined],
    ['at its first crash', { crashes: 1 }, 'crash'],
    ['not at its second missed deadline', { deadlineMisses: 2 }, undefined],
    ['at its third missed deadline', { deadlineMisses: 3 }, 'deadline'],
    ['at its third NaN', { invalidOutputs: 3 }, 'invalid-output'],
    ['not at three times the alarms', { candidateAbnormal: 30 }, undefined],
    ['at more than three times the alarms', { candidateAbnormal: 31 }, 'alarm-rate'],
    ['not for one alarm against none', { candidateAbnormal: 1, incumbentAbnormal: 0 }, undefined],
    ['not for fifteen alarms against none', { candidateAbnormal: 15, incumbentAbnormal: 0 }, undefined],
    ['for sixteen alarms against none', { candidateAbnormal: 16, incumbentAbnormal: 0 }, 'alarm-rate'],
    ['not before both judged enough windows', { windows: 99, candidateAbnormal: 99 }, undefined],
    ['not for alarming less', { candidateAbnormal: 0, incumbentAbnormal: 900 }, undefined],
  ])('%s', (_, counts, expected) => {
    expect(breachOf({ ...well, ...counts }, rules, true)?.cause).toBe(expected);
  });

  test('but a shadow is not stopped for its alarms', () => {
    expect(breachOf({ ...well, candidateAbnormal: 900 }, rules, false)).toBeUndefined();
  });

  test('also with more faults of any kind', () => {
    const counts = fc.record({
      windows: fc.nat(500),
      candidateAbnormal: fc.nat(500),
      incumbentAbnormal: fc.nat(500),
      crashes: fc.nat(3),
      deadlineMisses: fc.nat(5),
      invalidOutputs: fc.nat(5),
    });
    const worse = fc.constantFrom<keyof RecentCounts>(
      'candidateAbnormal',
      'crashes',
      'deadlineMisses',
      'invalidOutputs',
    );
    fc.assert(
      fc.property(counts, worse, (seen, key) => {
        if (breachOf(seen, rules, true) === undefined) return;
        expect(breachOf({ ...seen, [key]: seen[key] + 1 }, rules, true)).toBeDefined();
      }),
    );
  });
});

describe('recent counts', () => {
  test('include everything of the last period, and nothing older than two periods', () => {
    const periodMs = 1000;
    fc.assert(
      fc.property(fc.array(fc.nat(700), { maxLength: 40 }), (waits) => {
        const counts = new RecentRolloutCounts(periodMs);
        let nowMs = 0;
        const times: number[] = [];
        for (const wait of waits) {
          nowMs += wait;
          counts.add('crashes', nowMs);
          times.push(nowMs);
        }
        const { crashes } = counts.sum(nowMs);
        const within = (ageMs: number) => times.filter((timeMs) => nowMs - timeMs < ageMs).length;
        expect(crashes).toBeGreaterThanOrEqual(within(periodMs));
        expect(crashes).toBeLessThanOrEqual(within(2 * periodMs));
      }),
    );
  });
});
