import { counter, type MetricCatalogue } from '../platform/metrics.ts';

/** `topic` is the part after the base: state, verdict, alarm or tag. */
export const publishMetrics = {
  andon_publish_sent_total: counter('Messages for local subscribers that the broker acknowledged.', ['topic']),
  andon_publish_dropped_total: counter(
    'Messages for local subscribers that were not sent, by reason: not-connected, superseded (replaced by a newer message on the same topic while the broker was slow), or the error code. Verdicts and alarms are also in the outbox.',
    ['topic', 'reason'],
  ),
} as const satisfies MetricCatalogue;
