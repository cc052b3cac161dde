import { formatDuration } from '../duration.ts';

/** Limits at which a candidate is stopped. */
export type RolloutRules = {
  readonly periodMs: number;
  /** Windows that both versions must judge before their rates of abnormal windows are compared. */
  readonly minWindows: number;
  /** Most abnormal windows of the candidate for each abnormal window of the incumbent. */
  readonly alarmFactor: number;
  /** Smallest number of abnormal windows assumed for the incumbent, so that one against none is not a breach. */
  readonly alarmFloor: number;
  /** Number of crashes at which it is stopped; the next two are limits of the same kind. */
  readonly crashes: number;
  readonly deadlineMisses: number;
  /** Windows with NaN, infinity or a failed run of the candidate. */
  readonly invalidOutputs: number;
};

/** Counts of a candidate over the last period. */
export type RecentCounts = Record<(typeof countKeys)[number], number>;

/** `windows` are those that both versions judged. */
const countKeys = [
  'windows',
  'candidateAbnormal',
  'incumbentAbnormal',
  'crashes',
  'deadlineMisses',
  'invalidOutputs',
] as const;

export type BreachCause = 'crash' | 'deadline' | 'invalid-output' | 'alarm-rate';

/** Why a candidate is stopped. The reason follows 'because'. */
export type Breach = { readonly cause: BreachCause; readonly reason: string };

/**
 * Returns why a candidate must be stopped, or undefined.
 *
 * @param ratesCount False for a shadow: it raises no alarms, and showing a different rate is its purpose.
 */
export function breachOf(counts: RecentCounts, rules: RolloutRules, ratesCount: boolean): Breach | undefined {
  const { crashes, deadlineMisses, invalidOutputs, windows, candidateAbnormal, incumbentAbnormal } = counts;
  const during = `within ${formatDuration(rules.periodMs)}`;
  if (crashes >= rules.crashes) return { cause: 'crash', reason: `it crashed ${times(crashes)} ${during}` };
  if (deadlineMisses >= rules.deadlineMisses)
    return { cause: 'deadline', reason: `it missed its deadline ${times(deadlineMisses)} ${during}` };
  if (invalidOutputs >= rules.invalidOutputs)
    return {
      cause: 'invalid-output',
      reason: `it returned no finite score ${times(invalidOutputs)} ${during}, but the incumbent did`,
    };
  const limit = rules.alarmFactor * Math.max(incumbentAbnormal, rules.alarmFloor);
  if (!ratesCount || windows < rules.minWindows || candidateAbnormal <= limit) return undefined;
  return {
    cause: 'alarm-rate',
    reason: `it found ${candidateAbnormal} of ${windows} windows abnormal ${during}, the incumbent ${incumbentAbnormal}: more than ${rules.alarmFactor} times as many`,
  };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/**
 * Counts over the last one to two periods: the current block and the previous one. Old faults expire without a list of all
 * events.
 */
export class RecentRolloutCounts {
  readonly #periodMs: number;
  #startMs: number | undefined;
  #current = noCounts();
  #previous = noCounts();

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** @param nowMs Monotonic time; never less than in the previous call. */
  add(key: keyof RecentCounts, nowMs: number): void {
    this.#advanceTo(nowMs);
    this.#current[key] += 1;
  }

  sum(nowMs: number): RecentCounts {
    this.#advanceTo(nowMs);
    const sum = { ...this.#previous };
    for (const key of countKeys) sum[key] += this.#current[key];
    return sum;
  }

  #advanceTo(nowMs: number): void {
    this.#startMs ??= nowMs;
    const periods = Math.floor((nowMs - this.#startMs) / this.#periodMs);
    if (periods < 1) return;
    this.#previous = periods === 1 ? this.#current : noCounts();
    this.#current = noCounts();
    this.#startMs += periods * this.#periodMs;
  }
}

function noCounts(): RecentCounts {
  return { windows: 0, candidateAbnormal: 0, incumbentAbnormal: 0, crashes: 0, deadlineMisses: 0, invalidOutputs: 0 };
}
