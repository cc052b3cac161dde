import { counter } from '../platform/metrics.ts';
import type { MetricCatalogue } from '../platform/metrics.ts';

/** `topic` is the part after the base: state, verdict, alarm or tag. */
export const publishMetrics = {
  andon_publish_sent_total: counter('Messages for local subscribers that the broker acknowledged.', ['topic']),
  andon_publish_dropped_total: counter(
    'Messages for local subscribers that were not sent: the broker was away (not-connected), a newer one of the same topic came before a slow broker took it (superseded), or the code of the error. Verdicts and alarms are in the outbox all the same.',
    ['topic', 'reason'],
  ),
} as const satisfies MetricCatalogue;
