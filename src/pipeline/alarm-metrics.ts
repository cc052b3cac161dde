import type { MetricCatalogue } from '../platform/metrics.ts';

export const alarmMetrics = {
  andon_alarms: {
    type: 'gauge',
    help: 'Alarms in each ISA-18.2 state.',
    labels: ['state', 'priority'],
  },
  andon_alarm_transitions_total: {
    type: 'counter',
    help: 'Changes of alarms, by the state they led to.',
    labels: ['watch', 'state'],
  },
  andon_alarm_verdicts_dropped_total: {
    type: 'counter',
    help: 'Verdicts that no alarm took into account, since the stored alarms could not be read for too long.',
    labels: [],
  },
} as const satisfies MetricCatalogue;
