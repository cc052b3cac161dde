import type { AlarmTransition } from '../alarm/alarm.ts';
import { snakeJson } from './snake-json.ts';

/**
 * Returns the last change of an alarm as JSON, the same for MQTT, server-sent events and HTTP. `number` increases with each
 * change, so a message with a lower number than the last one is old.
 *
 * `change` is what happened now. While the alarm is not normal, its cause and its message are those of the onset. After a return
 * to normal that is not acknowledged, `present` has the message of the return.
 *
 * @param id Id of the record of the transition; undefined omits it.
 */
export function alarmPayload({ facts, watch, ...transition }: AlarmTransition, id: string | undefined) {
  const { onset, acknowledgement, shelvedUntilMs, shelvedComment } = facts;
  const { cause, message, parameters } = onset ?? transition;
  const returned = onset !== undefined && transition.cause === 'returned-to-normal' ? transition.message : null;
  return {
    ...snakeJson({
      ...transition,
      watch,
      cause,
      message,
      present: transition.present ?? returned,
      parameters,
      change: transition.cause,
      timestampMs: Math.round(transition.timestampMs),
      onsetMs: rounded(onset?.timestampMs),
      acknowledgedBy: acknowledgement?.by,
      acknowledgedMs: rounded(acknowledgement?.timestampMs),
      comment: shelvedComment ?? acknowledgement?.comment,
      shelvedUntilMs: rounded(shelvedUntilMs),
    }),
    ...(id === undefined ? {} : { id }),
  };
}

function rounded(timeMs: number | undefined): number | undefined {
  return timeMs === undefined ? undefined : Math.round(timeMs);
}
