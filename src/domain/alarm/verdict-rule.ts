import type { Contribution } from './verdict.ts';

/** Threshold for a score. */
export type VerdictRule = {
  readonly threshold: number;
  /** Side of the threshold that is abnormal. */
  readonly abnormal: 'above' | 'below';
  /** Distance from the threshold, on the normal side, that an abnormal score must reach to be normal again; 0 or more. */
  readonly deadband: number;
  /** For a machine that drifts: the score is also normal far below its peak. Undefined: only the threshold decides. */
  readonly relativeEnd?: RelativeEnd | undefined;
};

/**
 * End of an abnormal period by its own peak. After a fault, the machine often runs well in a place that the training rows do
 * not have, so that the score stays above the threshold. Only for scores that are abnormal above a positive threshold.
 */
type RelativeEnd = {
  /** Share of the peak, 0–1: at or below it the score is normal again. */
  readonly end: number;
  /** Multiple of the lowest score since then, above 1: the score is abnormal again above it. */
  readonly restart: number;
};

/** What the verdict on the next score depends on. */
export type ScoreMemory = {
  readonly verdict: 'normal' | 'abnormal';
  /**
   * With `relativeEnd`: the highest score while abnormal, and the lowest score after an end by the peak. Undefined after a
   * score on the normal side of the dead band.
   */
  readonly extreme: number | undefined;
};

/** Memory of a watch that was never abnormal. */
export const NEVER_ABNORMAL: ScoreMemory = { verdict: 'normal', extreme: undefined };

/** Most contributions in a verdict. */
const CONTRIBUTIONS_MAX = 5;

/**
 * Decides on which side of the threshold a score is.
 *
 * The threshold itself is normal. After an abnormal verdict, the deadband applies, so that a score near the threshold does
 * not chatter.
 *
 * @param score Finite.
 * @param before Result for the last score that was judged.
 */
export function judgeScore(score: number, rule: VerdictRule, before: ScoreMemory): ScoreMemory {
  const { threshold, relativeEnd } = rule;
  const wasAbnormal = before.verdict === 'abnormal';
  const deadband = wasAbnormal ? rule.deadband : 0;
  if (rule.abnormal === 'below') return { verdict: verdictOf(score < threshold + deadband), extreme: undefined };
  if (relativeEnd === undefined || threshold <= 0)
    return { verdict: verdictOf(score > threshold - deadband), extreme: undefined };
  if (wasAbnormal) {
    const peak = Math.max(before.extreme ?? score, score);
    if (score > Math.max(threshold - deadband, relativeEnd.end * peak)) return { verdict: 'abnormal', extreme: peak };
    return { verdict: 'normal', extreme: lowSince(score, score, rule) };
  }
  const low = before.extreme === undefined ? undefined : lowSince(before.extreme, score, rule);
  const isAbnormal = score > Math.max(threshold, low === undefined ? 0 : relativeEnd.restart * low);
  return isAbnormal ? { verdict: 'abnormal', extreme: score } : { verdict: 'normal', extreme: low };
}

/** Returns a rule with a threshold and dead band that are `factor` times as large. @param factor 1 or more. */
export function widenedRule(rule: VerdictRule, factor: number): VerdictRule {
  if (factor === 1 || rule.abnormal === 'below' || rule.threshold <= 0) return rule;
  return {
    ...rule,
    threshold: shortestFloat32(Math.fround(rule.threshold * factor)),
    deadband: rule.deadband * factor,
  };
}

/** Returns the lowest score since an end by the peak; undefined when the dead band is left, as after any other end. */
function lowSince(low: number, score: number, { threshold, deadband }: VerdictRule): number | undefined {
  const lowest = Math.min(low, score);
  return lowest <= threshold - deadband ? undefined : lowest;
}

function verdictOf(isAbnormal: boolean): 'normal' | 'abnormal' {
  return isAbnormal ? 'abnormal' : 'normal';
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
