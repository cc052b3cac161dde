import { type AlarmStep, noDelay } from '../domain/alarm/alarm-logic.ts';
import { actionMessage } from '../domain/alarm/alarm-message.ts';
import { type ActionCause, type AlarmTransition, normalFacts } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Timer } from '../platform/clock.ts';
import type { AlarmConfig } from './watch-config.ts';

/** An alarm that may be raised. */
export type AlarmDefinition = Pick<
  AlarmConfig,
  'onDelayMs' | 'offDelayMs' | 'priority' | 'outOfService' | 'suppressWhen'
> & {
  /** `watch/<id>`, `limit/<tag>/<level>` or `diagnostic/<kind>/<id>`. */
  readonly id: string;
  /** Watch of the alarm; undefined for other alarms. */
  readonly watch: string | undefined;
  /** Name for sentences: `pump-1`, `pump-1.pressure (high)`. */
  readonly title: string;
};

/** An alarm with its state. */
export type Alarm = {
  definition: AlarmDefinition;
  memory: AlarmStep['memory'];
  last: AlarmTransition;
  /** Highest number given out. It is above `last.number` if an operator's action could not be stored. */
  number: number;
  /** Last transition that is in the outbox: the one that is listed, with the present reason. */
  stored: AlarmTransition;
  /** Time of the last announcement of a present reason. */
  presentMs: EpochMs;
  shelving: Timer | undefined;
};

/** Returns the change of an alarm by an operator, the clock or the configuration. */
export function action(
  { definition, last }: Alarm,
  cause: ActionCause,
  by: string | undefined,
  timestampMs: EpochMs,
  untilMs: EpochMs | undefined,
) {
  const message = actionMessage(cause, { alarm: definition.title, by, untilMs });
  return { cause, message, parameters: {}, by, timestampMs, score: last.score };
}

/**
 * Creates an alarm without a stored state. If its state was lost, records with its earlier numbers may be in the outbox.
 * An alarm changes less than once a millisecond, so the current time is above all of them.
 *
 * @param lastNumber Highest number that is known to be used: above the current time if the clock was set back.
 */
export function newAlarm(definition: AlarmDefinition, nowMs: EpochMs, lastNumber = 0): Alarm {
  const number = Math.max(Math.floor(nowMs), lastNumber);
  const last: AlarmTransition = {
    alarm: definition.id,
    watch: definition.watch,
    number,
    state: 'normal',
    previous: 'normal',
    priority: definition.priority,
    cause: 'returned-to-normal',
    message: `${definition.title} has had no alarm yet.`,
    parameters: {},
    by: undefined,
    timestampMs: nowMs,
    score: undefined,
    facts: normalFacts,
  };
  return {
    definition,
    memory: { facts: normalFacts, delay: noDelay },
    last,
    number,
    stored: last,
    presentMs: -Infinity,
    shelving: undefined,
  };
}
