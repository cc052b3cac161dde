import type { MetricCatalogue } from '../../platform/metrics.ts';

export const mqttSourceMetrics = {
  andon_mqtt_message_faults_total: {
    type: 'counter',
    help: 'Messages with at least one tag that was not good, by the reason of the first: payload-invalid, not-finite, time-invalid, time-in-future, samples-left-out (a list of more than 10,000 samples).',
    labels: ['source', 'reason'],
  },
  andon_mqtt_pattern_tags: {
    type: 'gauge',
    help: 'Tags that a pattern has created.',
    labels: ['source', 'pattern'],
  },
  andon_mqtt_topics_left_out_total: {
    type: 'counter',
    help: 'Messages on topics that match a pattern and create no tag, by reason: too-many (maxTags), name-taken (by another topic or tag), name-unfit (not a valid tag name).',
    labels: ['source', 'pattern', 'reason'],
  },
} as const satisfies MetricCatalogue;
