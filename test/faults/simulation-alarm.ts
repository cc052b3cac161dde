import { type AlarmTransition, normalFacts } from '../../src/domain/alarm/alarm.ts';

/** @param number Counts up from 1. */
export function alarmTransition(number: number, timestampMs: number): AlarmTransition {
  const active = number % 2 === 1;
  return {
    alarm: 'watch/pump',
    watch: 'pump',
    number,
    state: active ? 'unacknowledged' : 'normal',
    previous: active ? 'normal' : 'unacknowledged',
    priority: 'high',
    cause: 'score-above-threshold',
    message: 'simulated',
    parameters: {},
    by: undefined,
    timestampMs,
    score: active ? 2 : 0,
    facts: { ...normalFacts, active, acknowledged: false },
  };
}
