import type { Contribution } from './verdict.ts';

/** Threshold for a score. */
export type VerdictRule = {
  readonly threshold: number;
  /** Side of the threshold that is abnormal. */
  readonly abnormal: 'above' | 'below';
  /** Distance from the threshold, on the normal side, that an abnormal score must reach to be normal again; 0 or more. */
  readonly deadband: number;
};

/** Most contributions in a verdict. */
const CONTRIBUTIONS_MAX = 5;

/**
 * Decides on which side of the threshold a score is.
 *
 * The threshold itself is normal. After an abnormal verdict, the deadband applies, so that a score near the threshold does
 * not chatter.
 *
 * @param score Finite.
 * @param wasAbnormal The watch's last known verdict was abnormal.
 */
export function judgeScore(score: number, rule: VerdictRule, wasAbnormal: boolean): 'normal' | 'abnormal' {
  const deadband = wasAbnormal ? rule.deadband : 0;
  const abnormal = rule.abnormal === 'above' ? score > rule.threshold - deadband : score < rule.threshold + deadband;
  return abnormal ? 'abnormal' : 'normal';
}

/**
 * Returns the tags with the largest contributions, largest share first.
 *
 * @param parts Contribution of each tag from the model. A negative one lowers the score and counts as 0.
 * @returns Shares of the sum of all tags, rounded to four digits; empty if none is positive.
 */
export function contributionsOf(parts: Iterable<number>, tags: readonly string[]): readonly Contribution[] {
  const positive = Array.from(parts, (part) => Math.max(0, part));
  const sum = positive.reduce((total, part) => total + part, 0);
  if (!(sum > 0) || sum === Infinity) return [];
  return tags
    .map((tag, column) => ({ tag, share: Math.floor(((positive[column] ?? 0) / sum) * 1e4) / 1e4 }))
    .filter(({ share }) => share > 0)
    .toSorted((a, b) => b.share - a.share)
    .slice(0, CONTRIBUTIONS_MAX);
}

/**
 * Returns the shortest decimal for the same float32: 0.1 instead of 0.10000000149011612.
 *
 * Models return float32. A threshold of 0.1 must be the same number in the configuration and in the score.
 */
export function shortestFloat32(value: number): number {
  for (const digits of [6, 7, 8]) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(9));
}
