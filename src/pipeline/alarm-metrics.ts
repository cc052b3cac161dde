import type { MetricCatalogue } from '../platform/metrics.ts';

export const alarmMetrics = {
  andon_alarms: {
    type: 'gauge',
    help: 'Alarms in each ISA-18.2 state.',
    labels: ['state', 'priority'],
  },
  andon_alarm_transitions_total: {
    type: 'counter',
    help: 'Transitions of alarms, by the new state.',
    labels: ['watch', 'state'],
  },
  andon_alarm_verdicts_dropped_total: {
    type: 'counter',
    help: 'Verdicts that changed no alarm, because the stored alarms could not be read for too long.',
    labels: [],
  },
} as const satisfies MetricCatalogue;
