import { counter, gauge, type MetricCatalogue } from '../platform/metrics.ts';

export const alarmMetrics = {
  andon_alarms: gauge('Alarms in each ISA-18.2 state.', ['state', 'priority']),
  andon_alarm_flood: gauge('1 while more than ten alarms were raised in the last ten minutes.'),
  andon_alarm_transitions_total: counter('Transitions of alarms, by the new state.', ['alarm', 'state']),
  andon_alarm_verdicts_dropped_total: counter(
    'Verdicts that changed no alarm, because the stored alarms could not be read for too long.',
  ),
} as const satisfies MetricCatalogue;
