import type { AlarmCause, AlarmPriority, AlarmState, AlarmTransition } from '../alarm/alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/** JSON of the last change of an alarm, the same for MQTT, server-sent events and HTTP. */
export type AlarmPayload = {
  readonly watch: string;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly priority: AlarmPriority;
  readonly cause: AlarmCause;
  /** Sentence for an operator. */
  readonly message: string;
  /** Operator who made the change; null for other causes. */
  readonly by: string | null;
  readonly timestamp_ms: EpochMs;
  readonly score: number | null;
  /** Increases with each change of this alarm. A message with a lower number than the last one is old. */
  readonly number: number;
  /** Time when shelving ends automatically; null while not shelved. */
  readonly shelved_until_ms: EpochMs | null;
  readonly id?: string;
};

/** @param id Id of the record of the transition; undefined omits it. */
export function alarmPayload(transition: AlarmTransition, id: string | undefined): AlarmPayload {
  const untilMs = transition.facts.shelvedUntilMs;
  return {
    watch: transition.watch,
    state: transition.state,
    previous: transition.previous,
    priority: transition.priority,
    cause: transition.cause,
    message: transition.message,
    by: transition.by ?? null,
    timestamp_ms: Math.round(transition.timestampMs),
    score: transition.score ?? null,
    number: transition.number,
    shelved_until_ms: untilMs === undefined ? null : Math.round(untilMs),
    ...(id === undefined ? {} : { id }),
  };
}
