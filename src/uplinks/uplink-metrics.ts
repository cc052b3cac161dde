import { counter, durationBuckets, gauge, histogram } from '../platform/metrics.ts';
import type { MetricCatalogue } from '../platform/metrics.ts';

export const uplinkMetrics = {
  andon_uplink_records_waiting: gauge('Records in the outbox that the uplink has yet to deliver.', ['uplink']),
  andon_uplink_oldest_waiting_seconds: gauge(
    'Age of the oldest record that the uplink has yet to deliver; 0 where none waits.',
    ['uplink'],
  ),
  andon_uplink_records_sent_total: counter('Records that the receiver acknowledged.', ['uplink']),
  andon_uplink_sent_bytes_total: counter('Bytes of records that the receiver acknowledged, before compression.', [
    'uplink',
  ]),
  andon_uplink_send_duration_seconds: histogram(
    'Time from handing a batch over to its acknowledgement.',
    ['uplink'],
    [...durationBuckets, 30, 60],
  ),
  andon_uplink_failures_total: counter(
    'Batches that were not acknowledged and are tried again, by the code of the error.',
    ['uplink', 'code'],
  ),
  andon_uplink_dead_letters_total: counter(
    'Records that the receiver refused for good and that were set aside, by the code of the error.',
    ['uplink', 'code'],
  ),
  andon_uplink_splits_total: counter('Batches that were split because the receiver found them too large.', ['uplink']),
  andon_uplink_store_failures_total: counter(
    'Reads and acknowledgements that the outbox could not carry out; they are tried again.',
    ['uplink', 'code'],
  ),
} as const satisfies MetricCatalogue;
