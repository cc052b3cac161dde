import type { MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugSourceMetrics = {
  andon_sparkplug_messages_left_out_total: {
    type: 'counter',
    help: 'Messages that were not taken: payload-invalid, retained (births and values never are), not-born (its birth was not seen), gap (messages before it were lost), repeat (delivered twice), old-death (of an earlier session), too-many-nodes.',
    labels: ['source', 'reason'],
  },
  andon_sparkplug_metrics_left_out_total: {
    type: 'counter',
    help: 'Metrics that were not taken: data-set, template, bytes, extension; of births, those that a pattern fits and that make no tag: too-many (maxTags), name-taken, name-unfit.',
    labels: ['source', 'reason'],
  },
  andon_sparkplug_historical_total: {
    type: 'counter',
    help: 'Values of the past that an edge node sent later: they go to the history only, and are not judged.',
    labels: ['source'],
  },
  andon_sparkplug_rebirths_requested_total: {
    type: 'counter',
    help: 'Rebirths asked for; only where rebirth is on.',
    labels: ['source'],
  },
  andon_sparkplug_edge_nodes: {
    type: 'gauge',
    help: 'Edge nodes whose birth was seen and whose messages since are complete.',
    labels: ['source'],
  },
} as const satisfies MetricCatalogue;
