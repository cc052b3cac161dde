import type { MetricCatalogue } from '../platform/metrics.ts';

/** `topic` is the part after the base: state, verdict, alarm or tag. */
export const publishMetrics = {
  andon_publish_sent_total: {
    type: 'counter',
    help: 'Messages for local subscribers that the broker acknowledged.',
    labels: ['topic'],
  },
  andon_publish_dropped_total: {
    type: 'counter',
    help: 'Messages for local subscribers that were not sent, by reason: not-connected, superseded (replaced by a newer message on the same topic while the broker was slow), or the error code. Verdicts and alarms are also in the outbox.',
    labels: ['topic', 'reason'],
  },
} as const satisfies MetricCatalogue;
