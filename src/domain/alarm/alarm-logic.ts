import type { AlarmCause, AlarmFacts } from './alarm.ts';
import { normalFacts } from './alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/*
 * The state machine of one alarm as pure functions (ANSI/ISA-18.2-2016, clause 5.4; IEC 62682). Facts are stored, the
 * state is derived from them. Time is the time of the verdicts, so that a backtest raises the same alarms.
 */

export type AlarmRules = {
  /** How long verdicts must be abnormal before the alarm is raised; 0 raises at the first. */
  readonly onDelayMs: number;
  /** How long verdicts must be normal before it clears; 0 clears at the first. */
  readonly offDelayMs: number;
  readonly abnormal: 'above' | 'below';
};

/** What counts towards the on-delay of an alarm that is not active, or the off-delay of one that is. */
export type AlarmDelay = {
  readonly passedMs: number;
  /** Time of the last verdict if it pointed towards the change; undefined where it did not, or nothing was known. */
  readonly lastMs: EpochMs | undefined;
};

export type AlarmMemory = { readonly facts: AlarmFacts; readonly delay: AlarmDelay };

export const noDelay: AlarmDelay = { passedMs: 0, lastMs: undefined };

/** The causes that lie in the plant; the others are acts of people, of the clock or of the configuration. */
export type PlantCause = Extract<AlarmCause, 'score-above-threshold' | 'score-below-threshold' | 'returned-to-normal'>;

/** What a verdict came to; `cause` is undefined where the facts stayed as they were. */
export type AlarmStep = { readonly memory: AlarmMemory; readonly cause: PlantCause | undefined };

/**
 * Applies one verdict.
 *
 * - A delay counts only the time between two verdicts that both point towards the change. A verdict that points the
 *   other way sets it back to 0.
 * - `unknown` neither raises nor clears, and pauses a delay: time in which nothing was known counts for neither side,
 *   and what had passed before is kept.
 * - A time that went back counts as no time.
 * - While the alarm is suppressed its facts go on, so that it is right at once when suppression ends.
 */
export function applyVerdict(
  memory: AlarmMemory,
  verdict: 'normal' | 'abnormal' | 'unknown',
  timestampMs: EpochMs,
  rules: AlarmRules,
): AlarmStep {
  const { facts, delay } = memory;
  if (verdict === 'unknown') return { memory: { facts, delay: { ...delay, lastMs: undefined } }, cause: undefined };
  const towardsChange = facts.active ? verdict === 'normal' : verdict === 'abnormal';
  if (!towardsChange) return { memory: { facts, delay: noDelay }, cause: undefined };
  const passedMs = delay.passedMs + Math.max(0, timestampMs - (delay.lastMs ?? timestampMs));
  if (passedMs < (facts.active ? rules.offDelayMs : rules.onDelayMs))
    return { memory: { facts, delay: { passedMs, lastMs: timestampMs } }, cause: undefined };
  if (facts.active)
    return { memory: { facts: { ...facts, active: false }, delay: noDelay }, cause: 'returned-to-normal' };
  return {
    memory: { facts: { ...facts, active: true, acknowledged: false }, delay: noDelay },
    cause: rules.abnormal === 'above' ? 'score-above-threshold' : 'score-below-threshold',
  };
}

/** @returns Undefined where there is nothing to acknowledge: acknowledged already, normal, or suppressed. */
export function acknowledge(facts: AlarmFacts): AlarmFacts | undefined {
  return facts.acknowledged || facts.suppression !== 'none' ? undefined : { ...facts, acknowledged: true };
}

/**
 * Takes the alarm off the operator's list until a time; shelving again moves the end.
 * @returns Undefined for an alarm out of service, which is off the list already.
 */
export function shelve(facts: AlarmFacts, untilMs: EpochMs): AlarmFacts | undefined {
  return facts.suppression === 'out-of-service'
    ? undefined
    : { ...facts, suppression: 'shelved', shelvedUntilMs: untilMs };
}

/**
 * Ends shelving, suppression by design or being out of service: an active alarm comes back unacknowledged, so that
 * it annunciates; one that is not active comes back normal, whatever happened meanwhile.
 */
export function endSuppression(facts: AlarmFacts): AlarmFacts {
  return facts.active ? { ...normalFacts, active: true, acknowledged: false } : normalFacts;
}

/**
 * Begins suppression by the plant's state or by the configuration. Out of service outranks shelving, and shelving
 * suppression by design, which may begin when shelving ends.
 *
 * @returns Undefined where the facts stay as they are.
 */
export function suppress(facts: AlarmFacts, by: 'suppressed-by-design' | 'out-of-service'): AlarmFacts | undefined {
  if (facts.suppression === by) return undefined;
  if (by === 'suppressed-by-design' && facts.suppression !== 'none') return undefined;
  return { ...facts, suppression: by, shelvedUntilMs: undefined };
}
