import { counter } from '../../platform/metrics.ts';
import type { MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugPublishMetrics = {
  andon_sparkplug_sent_total: counter('Messages sent as a Sparkplug edge node, by their type: NBIRTH, NDATA, NDEATH.', [
    'type',
  ]),
  andon_sparkplug_dropped_total: counter(
    'Messages of the Sparkplug edge node that were not sent, by the code of the error; the next one is then a birth with every present value.',
    ['code'],
  ),
} as const satisfies MetricCatalogue;
