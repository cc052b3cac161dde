import type { AlarmCause, AlarmPriority, AlarmState, AlarmTransition } from '../alarm/alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/** An alarm's last change in the wire's names: MQTT, server-sent events and HTTP carry the same JSON. */
export type AlarmPayload = {
  readonly watch: string;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly priority: AlarmPriority;
  readonly cause: AlarmCause;
  /** A sentence for an operator. */
  readonly message: string;
  /** Who did it; null where the plant did. */
  readonly by: string | null;
  readonly timestamp_ms: EpochMs;
  readonly score: number | null;
  /** Counts the changes of this alarm, from the time of its first one; a receiver that sees a lower one than before has an old message. */
  readonly number: number;
  /** When shelving ends by itself; null while not shelved. */
  readonly shelved_until_ms: EpochMs | null;
  readonly id?: string;
};

/** @param id Of the transition's record; undefined leaves it out. */
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
