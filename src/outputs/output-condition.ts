import type { OutputCondition } from '../domain/output/output-demand.ts';
import type { OutputRules, OutputValue } from '../domain/output/output-schedule.ts';
import type { OutputFields } from './output-fields.ts';

/** Returns what the output follows. */
export function conditionOf({ on }: Pick<OutputFields, 'on'>): OutputCondition {
  if (on.heartbeatMs !== undefined) return { type: 'heartbeat' };
  if (on.monitoring !== undefined) return { type: 'monitoring', watches: on.monitoring };
  const { watches, alarms, priority, state } = on;
  return { type: 'alarms', selection: { watches, alarms, priority }, states: state };
}

type Valued = Pick<OutputFields, 'on' | 'blinkMs' | 'refreshMs' | 'rateLimitMs'> & {
  readonly values: OutputRules['values'];
  readonly safe: OutputValue;
};

/** Returns when and what the output writes. */
export function rulesOf(config: Valued): OutputRules {
  const { values, safe } = config;
  return {
    values,
    safe: safe === 'on' || safe === 'off' ? values[safe] : safe,
    blinkMs: config.blinkMs,
    heartbeatMs: config.on.heartbeatMs,
    refreshMs: config.refreshMs === 'never' ? Infinity : config.refreshMs,
    rateLimitMs: config.rateLimitMs,
  };
}
