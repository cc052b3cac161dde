import { counter, gauge, type MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugPublishMetrics = {
  andon_sparkplug_sent_total: counter(
    'Messages sent by the Sparkplug edge node, by type: NBIRTH, NDATA, NDEATH, DBIRTH, DDATA, DDEATH.',
    ['type'],
  ),
  andon_sparkplug_dropped_total: counter(
    'Messages of the Sparkplug edge node that were not sent, by error code. The next message is then a birth with every current value.',
    ['code'],
  ),
  andon_sparkplug_missed_changes: gauge(
    'Changes of metrics that wait for the primary host. They are sent as historical.',
  ),
  andon_sparkplug_missed_dropped_total: counter(
    'Changes that were dropped because more than `keep` waited for the primary host. They are in the outbox and the sample history.',
  ),
} as const satisfies MetricCatalogue;
