import type { AlarmTransition } from '../alarm/alarm.ts';
import { snakeJson } from './snake-json.ts';

/**
 * Returns the last change of an alarm as JSON, the same for MQTT, server-sent events and HTTP. `number` increases with each
 * change, so a message with a lower number than the last one is old.
 *
 * @param id Id of the record of the transition; undefined omits it.
 */
export function alarmPayload({ facts, ...transition }: AlarmTransition, id: string | undefined) {
  const timestampMs = Math.round(transition.timestampMs);
  const untilMs = facts.shelvedUntilMs;
  const shelvedUntilMs = untilMs === undefined ? undefined : Math.round(untilMs);
  return { ...snakeJson({ ...transition, timestampMs, shelvedUntilMs }), ...(id === undefined ? {} : { id }) };
}
