import type { EpochMs } from '../epoch-ms.ts';

/** ISA-18.2 states, with the names that subscribers receive. */
export const alarmStates = [
  'normal',
  'unacknowledged',
  'acknowledged',
  'returned-unacknowledged',
  'shelved',
  'suppressed-by-design',
  'out-of-service',
] as const;
export type AlarmState = (typeof alarmStates)[number];

export const alarmPriorities = ['low', 'medium', 'high', 'critical'] as const;
export type AlarmPriority = (typeof alarmPriorities)[number];

/** Stored facts. The state is always derived from them. */
export type AlarmFacts = {
  readonly active: boolean;
  /** Also true in a state that needs no acknowledgement. */
  readonly acknowledged: boolean;
  readonly suppression: 'none' | 'shelved' | 'suppressed-by-design' | 'out-of-service';
  /** Time when shelving ends automatically; only while shelved. */
  readonly shelvedUntilMs: EpochMs | undefined;
  /** Why an operator shelved it; only while shelved. */
  readonly shelvedComment?: string | undefined;
  /** Why and when the alarm was raised last; undefined while it is normal. */
  readonly onset?: AlarmOnset | undefined;
  /** Operator who acknowledged it; undefined while it is normal or unacknowledged. */
  readonly acknowledgement?: AlarmAcknowledgement | undefined;
  /** Peak of the score of a watch, or its low after an end by the peak (`ScoreMemory`); undefined if there is none. */
  readonly scoreExtreme?: number | undefined;
};

/** Cause of an alarm. It stays until the alarm is normal again, also when an operator acts meanwhile. */
export type AlarmOnset = Pick<AlarmTransition, 'timestampMs' | 'cause' | 'message' | 'parameters'>;

export type AlarmAcknowledgement = {
  readonly by: string;
  readonly timestampMs: EpochMs;
  readonly comment: string | undefined;
};

type AlarmParameters = Readonly<Record<string, string | number>>;

export const normalFacts: AlarmFacts = {
  active: false,
  acknowledged: true,
  suppression: 'none',
  shelvedUntilMs: undefined,
};

/**
 * Returns the ISA-18.2 state for the stored facts.
 * @see ANSI/ISA-18.2-2016, clause 5.4 (alarm state transitions).
 */
export function alarmState(facts: AlarmFacts): AlarmState {
  if (facts.suppression !== 'none') return facts.suppression;
  if (facts.active) return facts.acknowledged ? 'acknowledged' : 'unacknowledged';
  return facts.acknowledged ? 'normal' : 'returned-unacknowledged';
}

/** Causes that raise an alarm. */
export type RaisingCause =
  | 'score-above-threshold'
  | 'score-below-threshold'
  | 'value-above-limit'
  | 'value-below-limit'
  | 'rate-above-limit'
  | 'component-in-trouble';

const actionCauses = [
  'acknowledged',
  'shelved',
  'unshelved',
  'shelving-ended',
  'suppressed-by-design',
  'out-of-service',
  'returned-to-service',
] as const;

/** Causes that are actions of operators, the clock or the configuration. */
export type ActionCause = (typeof actionCauses)[number];

/** Cause of a change of an alarm. */
export type AlarmCause = RaisingCause | 'returned-to-normal' | ActionCause;

export function isAction(cause: AlarmCause): cause is ActionCause {
  return actionCauses.some((each) => each === cause);
}

/**
 * One stored change of an alarm. `number` is unique for the alarm: it starts at the epoch milliseconds of the first change
 * and increases with each.
 */
export type AlarmTransition = {
  /** Id of the alarm: `watch/<id>`, `limit/<tag>/<level>`, `diagnostic/<kind>/<id>`. */
  readonly alarm: string;
  /** Watch of the alarm; undefined for other alarms. */
  readonly watch: string | undefined;
  readonly number: number;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly priority: AlarmPriority;
  readonly cause: AlarmCause;
  /** Sentence for an operator: tag, value, and what to check. */
  readonly message: string;
  /** Present reason while the condition lasts, if it differs from that of the onset. Not stored: records have the onset. */
  readonly present?: string | undefined;
  /** Values of the message, for translations. */
  readonly parameters: AlarmParameters;
  /** Operator, as named by the HTTP client; undefined for other causes. */
  readonly by: string | undefined;
  readonly timestampMs: EpochMs;
  readonly score: number | undefined;
  readonly facts: AlarmFacts;
};

/** Returns the id of the alarm of a watch. */
export function watchAlarmId(watch: string): string {
  return `watch/${watch}`;
}

/** Returns the id of the alarm of one level of a tag's limits, such as `limit/pump-1.pressure/high`. */
export function limitAlarmId(tag: string, level: string): string {
  return `limit/${tag}/${level}`;
}

/** Returns the id of a diagnostic alarm, such as `diagnostic/source/plc-1`. */
export function diagnosticAlarmId(kind: string, id: string): string {
  return `diagnostic/${kind}/${id.replaceAll('/', '-')}`;
}
