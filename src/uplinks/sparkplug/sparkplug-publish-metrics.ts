import { counter, type MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugPublishMetrics = {
  andon_sparkplug_sent_total: counter(
    'Messages sent by the Sparkplug edge node, by type: NBIRTH, NDATA, NDEATH, DBIRTH, DDATA, DDEATH.',
    ['type'],
  ),
  andon_sparkplug_dropped_total: counter(
    'Messages of the Sparkplug edge node that were not sent, by error code. The next message is then a birth with every current value.',
    ['code'],
  ),
} as const satisfies MetricCatalogue;
