import { counter, gauge, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const pipelineMetrics = {
  andon_samples_total: counter('Samples that passed the quality gate, by the quality it gave them.', ['quality']),
  andon_samples_left_out_total: counter('Samples whose tag number is not in the tag table.'),
  andon_samples_late_total: counter('Samples that arrived after the window row of their time was sealed.', ['watch']),
  andon_windows_due_total: counter('Windows that fell due.', ['watch']),
  andon_windows_decided_total: counter(
    'Due windows by outcome: judged, unfit (values missing), superseded (replaced by a newer one), failed (model or host).',
    ['watch', 'outcome'],
  ),
  andon_windows_restarted_total: counter(
    'Times that the windows of a watch restarted empty: at start, after a clock jump, with another model.',
    ['watch'],
  ),
  andon_verdicts_total: counter('Verdicts on due windows.', ['watch', 'verdict']),
  andon_score: gauge("Last score of the watch's model.", ['watch']),
  andon_verdict_latency_seconds: histogram('Time from a window falling due to its verdict, before it is stored.'),
  andon_pipeline_records_lost_total: counter('Records that the outbox did not accept.', ['kind']),
  andon_alarm_records_waiting: gauge('Alarm records kept in memory until the outbox accepts them.'),
} as const satisfies MetricCatalogue;
