import type { MetricCatalogue } from '../../platform/metrics.ts';

export const mqttSourceMetrics = {
  andon_mqtt_message_faults_total: {
    type: 'counter',
    help: 'Messages with at least one tag that was not good, by the reason of the first: payload-invalid, not-finite, time-invalid, time-in-future.',
    labels: ['source', 'reason'],
  },
} as const satisfies MetricCatalogue;
