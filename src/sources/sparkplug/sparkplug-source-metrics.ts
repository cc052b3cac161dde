import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugSourceMetrics = {
  andon_sparkplug_messages_left_out_total: counter(
    'Dropped messages, by reason: payload-invalid, retained (invalid for births and data), not-born (no birth received), gap (earlier messages were lost), repeat (delivered twice), old-death (of an earlier session), too-many-nodes.',
    ['source', 'reason'],
  ),
  andon_sparkplug_metrics_left_out_total: counter(
    'Dropped metrics, by reason: data-set, bytes, extension, unknown-alias (not in the birth); and of births, those that match a pattern and create no tag: too-many (maxTags), name-taken, name-unfit.',
    ['source', 'reason'],
  ),
  andon_sparkplug_historical_total: counter(
    'Historical values: they are stored in the sample history only, and are not judged.',
    ['source'],
  ),
  andon_sparkplug_rebirths_requested_total: counter('Requested rebirths; only if rebirth is on.', ['source']),
  andon_sparkplug_edge_nodes: gauge('Edge nodes whose birth and all later messages were received.', ['source']),
} as const satisfies MetricCatalogue;
