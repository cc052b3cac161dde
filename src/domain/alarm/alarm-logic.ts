import { type AlarmAcknowledgement, type AlarmCause, type AlarmFacts, normalFacts } from './alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/*
 * State machine of one alarm as pure functions (ANSI/ISA-18.2-2016, clause 5.4; IEC 62682). Facts are stored, and the state
 * is derived from them. Times are those of the verdicts, so that a backtest raises the same alarms.
 */

export type AlarmRules = {
  /** How long verdicts must be abnormal before the alarm is raised; 0 raises it with the first. */
  readonly onDelayMs: number;
  /** How long verdicts must be normal before it clears; 0 clears it with the first. */
  readonly offDelayMs: number;
};

/** Progress of the on-delay of an inactive alarm, or of the off-delay of an active one. */
export type AlarmDelay = {
  readonly passedMs: number;
  /** Time of the last verdict if it counts towards the change; undefined if it was the opposite or unknown. */
  readonly lastMs: EpochMs | undefined;
};

export type AlarmMemory = { readonly facts: AlarmFacts; readonly delay: AlarmDelay };

export const noDelay: AlarmDelay = { passedMs: 0, lastMs: undefined };

/** Causes that raise an alarm. */
export type RaisingCause = Extract<
  AlarmCause,
  | 'score-above-threshold'
  | 'score-below-threshold'
  | 'value-above-limit'
  | 'value-below-limit'
  | 'rate-above-limit'
  | 'component-in-trouble'
>;

/** Causes that are actions of operators, the clock or the configuration. */
export type ActionCause = Exclude<AlarmCause, RaisingCause | 'returned-to-normal'>;

const actionCauses: ReadonlySet<AlarmCause> = new Set<ActionCause>([
  'acknowledged',
  'shelved',
  'unshelved',
  'shelving-ended',
  'suppressed-by-design',
  'out-of-service',
  'returned-to-service',
]);

export function isAction(cause: AlarmCause): cause is ActionCause {
  return actionCauses.has(cause);
}

/** Result of a verdict. `change` is undefined if the facts did not change. */
export type AlarmStep = { readonly memory: AlarmMemory; readonly change: 'raised' | 'cleared' | undefined };

/**
 * Applies one verdict.
 *
 * - A delay counts only the time between two consecutive verdicts that both count towards the change. The opposite verdict
 *   resets it to 0.
 * - `unknown` and `uncertain` neither raise nor clear. They pause the delay: the time without a known verdict does not count, and the
 *   progress is kept.
 * - A time that went back counts as 0.
 * - While the alarm is suppressed, its facts are updated, so that its state is correct when suppression ends.
 */
export function applyVerdict(
  memory: AlarmMemory,
  verdict: 'normal' | 'abnormal' | 'uncertain' | 'unknown',
  timestampMs: EpochMs,
  rules: AlarmRules,
): AlarmStep {
  const { facts, delay } = memory;
  if (verdict === 'unknown' || verdict === 'uncertain')
    return { memory: { facts, delay: { ...delay, lastMs: undefined } }, change: undefined };
  const towardsChange = facts.active ? verdict === 'normal' : verdict === 'abnormal';
  if (!towardsChange) return { memory: { facts, delay: noDelay }, change: undefined };
  const passedMs = delay.passedMs + Math.max(0, timestampMs - (delay.lastMs ?? timestampMs));
  if (passedMs < (facts.active ? rules.offDelayMs : rules.onDelayMs))
    return { memory: { facts, delay: { passedMs, lastMs: timestampMs } }, change: undefined };
  if (facts.active) return { memory: { facts: { ...facts, active: false }, delay: noDelay }, change: 'cleared' };
  const raised = { ...facts, active: true, acknowledged: false, acknowledgement: undefined };
  return { memory: { facts: raised, delay: noDelay }, change: 'raised' };
}

/** Returns the acknowledged facts, or undefined if there is nothing to acknowledge: acknowledged, normal or suppressed. */
export function acknowledge(facts: AlarmFacts, acknowledgement: AlarmAcknowledgement): AlarmFacts | undefined {
  return facts.acknowledged || facts.suppression !== 'none'
    ? undefined
    : { ...facts, acknowledged: true, acknowledgement };
}

/**
 * Shelves the alarm until a time. Shelving again changes the time.
 * @returns Undefined for an alarm that is out of service.
 */
export function shelve(facts: AlarmFacts, untilMs: EpochMs, comment?: string): AlarmFacts | undefined {
  return facts.suppression === 'out-of-service'
    ? undefined
    : { ...facts, suppression: 'shelved', shelvedUntilMs: untilMs, shelvedComment: comment };
}

/**
 * Ends shelving, suppression by design or out-of-service. An active alarm becomes unacknowledged, so that it annunciates.
 * An inactive alarm becomes normal.
 */
export function endSuppression(facts: AlarmFacts): AlarmFacts {
  return facts.active ? { ...normalFacts, active: true, acknowledged: false, onset: facts.onset } : normalFacts;
}

/**
 * Starts suppression by design or out-of-service. Priority: out of service, then shelved, then suppressed by design, which
 * may start when shelving ends.
 *
 * @returns Undefined if the facts do not change.
 */
export function suppress(facts: AlarmFacts, by: 'suppressed-by-design' | 'out-of-service'): AlarmFacts | undefined {
  if (facts.suppression === by) return undefined;
  if (by === 'suppressed-by-design' && facts.suppression !== 'none') return undefined;
  return { ...facts, suppression: by, shelvedUntilMs: undefined, shelvedComment: undefined };
}
