import type { EpochMs } from '../epoch-ms.ts';

/** Names of the ISA-18.2 states, as subscribers see them. */
export type AlarmState =
  | 'normal'
  | 'unacknowledged'
  | 'acknowledged'
  | 'returned-unacknowledged'
  | 'shelved'
  | 'suppressed-by-design'
  | 'out-of-service';

export const alarmPriorities = ['low', 'medium', 'high', 'critical'] as const;
export type AlarmPriority = (typeof alarmPriorities)[number];

/** The facts that are stored; the state is always derived from them. */
export type AlarmFacts = {
  readonly active: boolean;
  /** True in a state that needs no acknowledgement, too. */
  readonly acknowledged: boolean;
  readonly suppression: 'none' | 'shelved' | 'suppressed-by-design' | 'out-of-service';
  /** When shelving ends by itself; only while shelved. */
  readonly shelvedUntilMs: EpochMs | undefined;
};

export const normalFacts: AlarmFacts = {
  active: false,
  acknowledged: true,
  suppression: 'none',
  shelvedUntilMs: undefined,
};

/**
 * Names the ISA-18.2 state that the facts add up to.
 * @see ANSI/ISA-18.2-2016, clause 5.4 (alarm state transitions).
 */
export function alarmState(facts: AlarmFacts): AlarmState {
  if (facts.suppression !== 'none') return facts.suppression;
  if (facts.active) return facts.acknowledged ? 'acknowledged' : 'unacknowledged';
  return facts.acknowledged ? 'normal' : 'returned-unacknowledged';
}

/** Why an alarm changed. `by` is who did it, as the HTTP caller named itself. */
export type AlarmCause =
  | 'score-above-threshold'
  | 'score-below-threshold'
  | 'returned-to-normal'
  | 'acknowledged'
  | 'shelved'
  | 'unshelved'
  | 'shelving-ended'
  | 'suppressed-by-design'
  | 'out-of-service'
  | 'returned-to-service';

/** One stored change of an alarm; `number` counts up per watch, from the epoch milliseconds at which it began, and makes the change unique. */
export type AlarmTransition = {
  readonly watch: string;
  readonly number: number;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly priority: AlarmPriority;
  readonly cause: AlarmCause;
  /** A sentence for an operator: which tag, which value, what to look at. */
  readonly message: string;
  readonly by: string | undefined;
  readonly timestampMs: EpochMs;
  readonly score: number | undefined;
  readonly facts: AlarmFacts;
};
