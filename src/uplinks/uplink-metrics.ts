import type { MetricCatalogue } from '../platform/metrics.ts';
import { durationBuckets } from '../platform/metrics.ts';

export const uplinkMetrics = {
  andon_uplink_records_waiting: {
    type: 'gauge',
    help: 'Records in the outbox that are not delivered.',
    labels: ['uplink'],
  },
  andon_uplink_oldest_waiting_seconds: {
    type: 'gauge',
    help: 'Age of the oldest record that is not delivered; 0 if none waits.',
    labels: ['uplink'],
  },
  andon_uplink_records_sent_total: {
    type: 'counter',
    help: 'Records that the receiver acknowledged.',
    labels: ['uplink'],
  },
  andon_uplink_sent_bytes_total: {
    type: 'counter',
    help: 'Bytes of records that the receiver acknowledged, before compression.',
    labels: ['uplink'],
  },
  andon_uplink_send_duration_seconds: {
    type: 'histogram',
    help: 'Time from sending a batch to its acknowledgement.',
    labels: ['uplink'],
    buckets: [...durationBuckets, 30, 60],
  },
  andon_uplink_failures_total: {
    type: 'counter',
    help: 'Batches that were not acknowledged and are retried, by error code.',
    labels: ['uplink', 'code'],
  },
  andon_uplink_dead_letters_total: {
    type: 'counter',
    help: 'Records that the receiver refused permanently and that became dead letters, by error code.',
    labels: ['uplink', 'code'],
  },
  andon_uplink_splits_total: {
    type: 'counter',
    help: 'Batches that were split because the receiver rejected them as too large.',
    labels: ['uplink'],
  },
  andon_uplink_store_failures_total: {
    type: 'counter',
    help: 'Reads and acknowledgements of the outbox that failed and are retried, by error code.',
    labels: ['uplink', 'code'],
  },
} as const satisfies MetricCatalogue;
