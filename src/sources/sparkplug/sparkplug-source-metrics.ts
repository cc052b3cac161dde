import { counter, gauge } from '../../platform/metrics.ts';
import type { MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugSourceMetrics = {
  andon_sparkplug_messages_left_out_total: counter(
    'Messages that were not taken: payload-invalid, retained (births and values never are), not-born (its birth was not seen), gap (messages before it were lost), repeat (delivered twice), old-death (of an earlier session), too-many-nodes.',
    ['source', 'reason'],
  ),
  andon_sparkplug_metrics_left_out_total: counter(
    'Metrics that were not taken: data-set, template, bytes, extension; of births, those that a pattern fits and that make no tag: too-many (maxTags), name-taken, name-unfit.',
    ['source', 'reason'],
  ),
  andon_sparkplug_historical_total: counter(
    'Values of the past that an edge node sent later: they go to the history only, and are not judged.',
    ['source'],
  ),
  andon_sparkplug_rebirths_requested_total: counter('Rebirths asked for; only where rebirth is on.', ['source']),
  andon_sparkplug_edge_nodes: gauge('Edge nodes whose birth was seen and whose messages since are complete.', [
    'source',
  ]),
} as const satisfies MetricCatalogue;
