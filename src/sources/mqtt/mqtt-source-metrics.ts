import { counter, gauge } from '../../platform/metrics.ts';
import type { MetricCatalogue } from '../../platform/metrics.ts';

export const mqttSourceMetrics = {
  andon_mqtt_message_faults_total: counter(
    'Messages with at least one tag that was not good, by the reason of the first: payload-invalid, not-finite, time-invalid, time-in-future; samples-left-out: a list of samples was longer than is read.',
    ['source', 'reason'],
  ),
  andon_mqtt_pattern_tags: gauge('Tags that a pattern has made of the topics seen.', ['source', 'pattern']),
  andon_mqtt_topics_left_out_total: counter(
    'Messages on topics that a pattern fits and that make no tag: too-many (maxTags), name-taken (by another topic or tag), name-unfit.',
    ['source', 'pattern', 'reason'],
  ),
} as const satisfies MetricCatalogue;
