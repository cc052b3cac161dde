import type { MetricCatalogue } from '../../platform/metrics.ts';

export const sparkplugPublishMetrics = {
  andon_sparkplug_sent_total: {
    type: 'counter',
    help: 'Messages sent by the Sparkplug edge node, by type: NBIRTH, NDATA, NDEATH.',
    labels: ['type'],
  },
  andon_sparkplug_dropped_total: {
    type: 'counter',
    help: 'Messages of the Sparkplug edge node that were not sent, by error code. The next message is then a birth with every current value.',
    labels: ['code'],
  },
} as const satisfies MetricCatalogue;
