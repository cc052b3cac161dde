import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contributionsOf,
  judgeScore,
  NEVER_ABNORMAL,
  type ScoreMemory,
  shortestFloat32,
} from '../../src/domain/alarm/verdict-rule.ts';

const above = { threshold: 1, abnormal: 'above', deadband: 0.2 } as const;
function memory(wasAbnormal: boolean): ScoreMemory {
  return { verdict: wasAbnormal ? 'abnormal' : 'normal', extreme: undefined };
}

const below = { threshold: 1, abnormal: 'below', deadband: 0.2 } as const;

describe('the threshold', () => {
  test.each([
    ['above', 1, false, 'normal'],
    ['above', 1.001, false, 'abnormal'],
    ['above', 0.9, true, 'abnormal'],
    ['above', 0.8, true, 'normal'],
    ['above', 0.9, false, 'normal'],
  ] as const)('%s 1 with deadband 0.2: a score of %f (abnormal before: %s) is %s', (_, score, before, verdict) => {
    expect(judgeScore(score, above, memory(before)).verdict).toBe(verdict);
  });

  test.each([
    [1, false, 'normal'],
    [0.999, false, 'abnormal'],
    [1.1, true, 'abnormal'],
    [1.2, true, 'normal'],
  ] as const)('below 1 with deadband 0.2: a score of %f (abnormal before: %s) is %s', (score, before, verdict) => {
    expect(judgeScore(score, below, memory(before)).verdict).toBe(verdict);
  });

  test('a score that moves by less than the deadband changes the verdict at most once', () => {
    const wobble = fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { maxLength: 50 });
    fc.assert(
      fc.property(wobble, (scores) => {
        let before: ScoreMemory = NEVER_ABNORMAL;
        let changes = 0;
        for (const score of scores) {
          const now = judgeScore(score, { ...above, deadband: 0.25 }, before);
          if (now.verdict !== before.verdict) changes += 1;
          before = now;
        }
        expect(changes).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('a machine that drifts', () => {
  const drifting = { ...above, relativeEnd: { end: 0.3, restart: 1.6 } };
  const verdicts = (scores: readonly number[]) => {
    let state = NEVER_ABNORMAL;
    return scores.map((score) => (state = judgeScore(score, drifting, state)).verdict);
  };

  test('is normal again at 30 % of the peak, and abnormal again at 1.6 times the lowest score since', () => {
    expect(verdicts([2, 10, 3.1, 3, 2.5, 3.9, 4.1])).toEqual(
      'abnormal abnormal abnormal normal normal normal abnormal'.split(' '),
    );
  });

  test('is judged by the threshold again after it has left the dead band', () => {
    expect(verdicts([10, 3, 0.8, 1.01])).toEqual(['abnormal', 'normal', 'normal', 'abnormal']);
  });

  test('with a small peak ends at the dead band, as any other', () => {
    expect(verdicts([1.5, 0.9, 0.81, 0.8, 1])).toEqual(['abnormal', 'abnormal', 'abnormal', 'normal', 'normal']);
  });

  test('has no relative end below a threshold', () => {
    const rule = { ...drifting, abnormal: 'below' as const };
    expect(judgeScore(0.9, rule, { verdict: 'abnormal', extreme: 0.1 })).toEqual({
      verdict: 'abnormal',
      extreme: undefined,
    });
  });
});

describe('contributions', () => {
  test('shares are relative to the sum, largest first, at most five tags', () => {
    const tags = ['a', 'b', 'c', 'd', 'e', 'f'];
    expect(contributionsOf([1, 2, 3, 4, 5, 5], tags)).toEqual([
      { tag: 'e', share: 0.25 },
      { tag: 'f', share: 0.25 },
      { tag: 'd', share: 0.2 },
      { tag: 'c', share: 0.15 },
      { tag: 'b', share: 0.1 },
    ]);
  });

  test('a negative contribution counts as 0; without a positive one there are no shares', () => {
    expect(contributionsOf([-1, 2], ['a', 'b'])).toEqual([{ tag: 'b', share: 1 }]);
    expect(contributionsOf([-1, 0], ['a', 'b'])).toEqual([]);
  });

  test('shares add up to 1 or less', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 20 }), (parts) => {
        const tags = parts.map((_, index) => `tag-${index}`);
        const sum = contributionsOf(parts, tags).reduce((total, { share }) => total + share, 0);
        expect(sum).toBeLessThanOrEqual(1 + 1e-9);
      }),
    );
  });
});

test('a float32 is written with the fewest digits that identify it', () => {
  expect(shortestFloat32(Math.fround(0.1))).toBe(0.1);
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Math.fround(shortestFloat32(value))).toBe(value + 0 === 0 ? 0 : value);
    }),
  );
});
