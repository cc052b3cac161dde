import type { MetricCatalogue } from '../../platform/metrics.ts';

export const mqttSourceMetrics = {
  andon_mqtt_message_faults_total: {
    type: 'counter',
    help: 'Messages with at least one tag that was not good, by the reason of the first: payload-invalid, not-finite, time-invalid, time-in-future; samples-left-out: a list of samples was longer than is read.',
    labels: ['source', 'reason'],
  },
  andon_mqtt_pattern_tags: {
    type: 'gauge',
    help: 'Tags that a pattern has made of the topics seen.',
    labels: ['source', 'pattern'],
  },
  andon_mqtt_topics_left_out_total: {
    type: 'counter',
    help: 'Messages on topics that a pattern fits and that make no tag: too-many (maxTags), name-taken (by another topic or tag), name-unfit.',
    labels: ['source', 'pattern', 'reason'],
  },
} as const satisfies MetricCatalogue;
