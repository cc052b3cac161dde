import { counter, durationBuckets, gauge, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const uplinkMetrics = {
  andon_uplink_records_waiting: gauge('Records in the outbox that are not delivered.', ['uplink']),
  andon_uplink_oldest_waiting_seconds: gauge('Age of the oldest record that is not delivered; 0 if none waits.', [
    'uplink',
  ]),
  andon_uplink_records_sent_total: counter('Records that the receiver acknowledged.', ['uplink']),
  andon_uplink_sent_bytes_total: counter('Bytes of records that the receiver acknowledged, before compression.', [
    'uplink',
  ]),
  andon_uplink_send_duration_seconds: histogram(
    'Time from sending a batch to its acknowledgement.',
    ['uplink'],
    [...durationBuckets, 30, 60],
  ),
  andon_uplink_failures_total: counter('Batches that were not acknowledged and are retried, by error code.', [
    'uplink',
    'code',
  ]),
  andon_uplink_dead_letters_total: counter(
    'Records that the receiver refused permanently and that became dead letters, by error code.',
    ['uplink', 'code'],
  ),
  andon_uplink_splits_total: counter('Batches that were split because the receiver rejected them as too large.', [
    'uplink',
  ]),
  andon_uplink_store_failures_total: counter(
    'Reads and acknowledgements of the outbox that failed and are retried, by error code.',
    ['uplink', 'code'],
  ),
} as const satisfies MetricCatalogue;
