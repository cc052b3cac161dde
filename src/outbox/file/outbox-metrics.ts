import { counter, histogram, type MetricCatalogue } from '../../platform/metrics.ts';

export const outboxMetrics = {
  andon_outbox_records_appended_total: counter('Records stored in the outbox, on disk.', ['kind']),
  andon_outbox_commit_seconds: histogram(
    'Time from sending a batch to the storage worker until its commit is on disk.',
  ),
  andon_outbox_append_failures_total: counter('Append calls that failed, by error code.', ['code']),
  andon_outbox_queue_rows: { type: 'gauge', help: 'Records waiting for their commit.', labels: [] },
  andon_outbox_records_lost_total: counter(
    'Records that were not stored, or were deleted before every uplink had them, by kind and reason. Each is in a loss record.',
    ['kind', 'reason'],
  ),
  andon_uplink_records_lost_total: counter(
    'Records that an uplink does not get, by kind and reason. Equals the sum of `count` in its loss records.',
    ['uplink', 'kind', 'reason'],
  ),
  andon_outbox_database_bytes: { type: 'gauge', help: 'Space in use in the outbox database.', labels: [] },
  andon_outbox_database_bytes_max: { type: 'gauge', help: 'Maximum size of the outbox database.', labels: [] },
  andon_outbox_worker_restarts_total: counter('Times that the storage worker failed or hung and was replaced.'),
  andon_outbox_reader_restarts_total: counter('Times that the reader worker failed or hung and was replaced.'),
  andon_outbox_epochs_total: counter('Epochs started because the continuity of the sequence could not be proven.'),
  andon_history_samples_total: { type: 'counter', help: 'Good samples accepted by the history.', labels: [] },
  andon_history_samples_dropped_total: counter(
    'Good samples and scores that the history dropped, by reason. Each is in a loss record with `records` "history".',
    ['reason'],
  ),
  andon_history_worker_restarts_total: counter('Times that the history worker failed or hung and was replaced.'),
  andon_history_bytes: { type: 'gauge', help: 'Space in use in the history database.', labels: [] },
} as const satisfies MetricCatalogue;
