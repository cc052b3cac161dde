import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const mqttSourceMetrics = {
  andon_mqtt_message_faults_total: counter(
    'Messages with at least one tag that was not good, by the reason of the first: payload-invalid, not-finite, time-invalid, time-in-future, samples-left-out (a list of more than 10,000 samples).',
    ['source', 'reason'],
  ),
  andon_mqtt_pattern_tags: gauge('Tags that a pattern has created.', ['source', 'pattern']),
  andon_mqtt_topics_left_out_total: counter(
    'Messages on topics that match a pattern and create no tag, by reason: too-many (maxTags), name-taken (by another topic or tag), name-unfit (not a valid tag name).',
    ['source', 'pattern', 'reason'],
  ),
} as const satisfies MetricCatalogue;
