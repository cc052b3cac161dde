import type { MetricCatalogue } from '../platform/metrics.ts';
import { durationBuckets } from '../platform/metrics.ts';

export const uplinkMetrics = {
  andon_uplink_records_waiting: {
    type: 'gauge',
    help: 'Records in the outbox that the uplink has yet to deliver.',
    labels: ['uplink'],
  },
  andon_uplink_oldest_waiting_seconds: {
    type: 'gauge',
    help: 'Age of the oldest record that the uplink has yet to deliver; 0 where none waits.',
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
    help: 'Time from handing a batch over to its acknowledgement.',
    labels: ['uplink'],
    buckets: [...durationBuckets, 30, 60],
  },
  andon_uplink_failures_total: {
    type: 'counter',
    help: 'Batches that were not acknowledged and are tried again, by the code of the error.',
    labels: ['uplink', 'code'],
  },
  andon_uplink_dead_letters_total: {
    type: 'counter',
    help: 'Records that the receiver refused for good and that were set aside, by the code of the error.',
    labels: ['uplink', 'code'],
  },
  andon_uplink_splits_total: {
    type: 'counter',
    help: 'Batches that were split because the receiver found them too large.',
    labels: ['uplink'],
  },
  andon_uplink_store_failures_total: {
    type: 'counter',
    help: 'Reads and acknowledgements that the outbox could not carry out; they are tried again.',
    labels: ['uplink', 'code'],
  },
} as const satisfies MetricCatalogue;
