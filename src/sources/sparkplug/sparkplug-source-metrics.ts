import type { MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugSourceMetrics = {
  andon_sparkplug_messages_left_out_total: {
    type: 'counter',
    help: 'Dropped messages, by reason: payload-invalid, retained (invalid for births and data), not-born (no birth received), gap (earlier messages were lost), repeat (delivered twice), old-death (of an earlier session), too-many-nodes.',
    labels: ['source', 'reason'],
  },
  andon_sparkplug_metrics_left_out_total: {
    type: 'counter',
    help: 'Dropped metrics, by reason: data-set, template, bytes, extension; and of births, those that match a pattern and create no tag: too-many (maxTags), name-taken, name-unfit.',
    labels: ['source', 'reason'],
  },
  andon_sparkplug_historical_total: {
    type: 'counter',
    help: 'Historical values: they are stored in the sample history only, and are not judged.',
    labels: ['source'],
  },
  andon_sparkplug_rebirths_requested_total: {
    type: 'counter',
    help: 'Requested rebirths; only if rebirth is on.',
    labels: ['source'],
  },
  andon_sparkplug_edge_nodes: {
    type: 'gauge',
    help: 'Edge nodes whose birth and all later messages were received.',
    labels: ['source'],
  },
} as const satisfies MetricCatalogue;
