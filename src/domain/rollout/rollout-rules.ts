import { formatDuration } from '../duration.ts';

/** When a candidate is stopped. */
export type RolloutRules = {
  /** Time over which everything here is counted. */
  readonly periodMs: number;
  /** Windows that both judged before their rates of abnormal ones are compared. */
  readonly minWindows: number;
  /** Abnormal windows of the candidate for each of the incumbent's above which it is stopped. */
  readonly alarmFactor: number;
  /** Abnormal windows that the incumbent is taken to have had at least, so that one against none says nothing. */
  readonly alarmFloor: number;
  /** Crashes at which it is stopped; so for the two below. */
  readonly crashes: number;
  readonly deadlineMisses: number;
  /** Windows on which the candidate gave NaN or infinity, or its run failed. */
  readonly invalidOutputs: number;
};

/** What was seen of the candidate over the last period. */
export type RecentCounts = {
  /** Judged by both. */
  windows: number;
  candidateAbnormal: number;
  incumbentAbnormal: number;
  crashes: number;
  deadlineMisses: number;
  invalidOutputs: number;
};

export type BreachCause = 'crash' | 'deadline' | 'invalid-output' | 'alarm-rate';

/** Why a candidate is stopped; the reason stands after 'because'. */
export type Breach = { readonly cause: BreachCause; readonly reason: string };

/**
 * Whether a candidate is to be stopped.
 *
 * @param ratesCount False for a shadow: it alarms nobody, and how its rate differs is what it is there to show.
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
      reason: `it gave no finite score ${times(invalidOutputs)} ${during}, where the incumbent did`,
    };
  const limit = rules.alarmFactor * Math.max(incumbentAbnormal, rules.alarmFloor);
  if (!ratesCount || windows < rules.minWindows || candidateAbnormal <= limit) return undefined;
  return {
    cause: 'alarm-rate',
    reason: `it called ${candidateAbnormal} of ${windows} windows abnormal ${during}, the incumbent ${incumbentAbnormal}: more than ${rules.alarmFactor} times as many`,
  };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/**
 * Counts over the last one to two periods: one block that fills and the one before it, so that a fault of long ago is
 * forgotten without a list of all that happened.
 */
export class RecentRolloutCounts {
  readonly #periodMs: number;
  #beganMs: number | undefined;
  #filling = nothing();
  #before = nothing();

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** @param nowMs Monotonic; never less than in the call before. */
  add(key: keyof RecentCounts, nowMs: number): void {
    this.#turnTo(nowMs);
    this.#filling[key] += 1;
  }

  sum(nowMs: number): RecentCounts {
    this.#turnTo(nowMs);
    const { windows, candidateAbnormal, incumbentAbnormal, crashes, deadlineMisses, invalidOutputs } = this.#before;
    const filling = this.#filling;
    return {
      windows: windows + filling.windows,
      candidateAbnormal: candidateAbnormal + filling.candidateAbnormal,
      incumbentAbnormal: incumbentAbnormal + filling.incumbentAbnormal,
      crashes: crashes + filling.crashes,
      deadlineMisses: deadlineMisses + filling.deadlineMisses,
      invalidOutputs: invalidOutputs + filling.invalidOutputs,
    };
  }

  #turnTo(nowMs: number): void {
    this.#beganMs ??= nowMs;
    const periods = Math.floor((nowMs - this.#beganMs) / this.#periodMs);
    if (periods < 1) return;
    this.#before = periods === 1 ? this.#filling : nothing();
    this.#filling = nothing();
    this.#beganMs += periods * this.#periodMs;
  }
}

function nothing(): RecentCounts {
  return { windows: 0, candidateAbnormal: 0, incumbentAbnormal: 0, crashes: 0, deadlineMisses: 0, invalidOutputs: 0 };
}
