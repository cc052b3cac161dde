import type { MetricCatalogue } from '../platform/metrics.ts';

export const pipelineMetrics = {
  andon_samples_total: {
    type: 'counter',
    help: 'Samples that passed the quality gate, by the quality it gave them.',
    labels: ['quality'],
  },
  andon_samples_left_out_total: {
    type: 'counter',
    help: 'Samples whose tag number is not in the tag table.',
    labels: [],
  },
  andon_samples_late_total: {
    type: 'counter',
    help: 'Samples that arrived after the window row of their time was sealed.',
    labels: ['watch'],
  },
  andon_windows_due_total: {
    type: 'counter',
    help: 'Windows that fell due.',
    labels: ['watch'],
  },
  andon_windows_decided_total: {
    type: 'counter',
    help: 'Due windows by outcome: judged, unfit (values missing), superseded (replaced by a newer one), failed (model or host).',
    labels: ['watch', 'outcome'],
  },
  andon_windows_restarted_total: {
    type: 'counter',
    help: 'Times that the windows of a watch restarted empty: at start, after a clock jump, with another model.',
    labels: ['watch'],
  },
  andon_verdicts_total: {
    type: 'counter',
    help: 'Verdicts on due windows.',
    labels: ['watch', 'verdict'],
  },
  andon_score: {
    type: 'gauge',
    help: "Last score of the watch's model.",
    labels: ['watch'],
  },
  andon_verdict_latency_seconds: {
    type: 'histogram',
    help: 'Time from a window falling due to its verdict, before it is stored.',
    labels: [],
  },
  andon_batch_windows: {
    type: 'histogram',
    help: 'Number of windows in one run of the inference host.',
    labels: ['model'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  },
  andon_pipeline_records_lost_total: {
    type: 'counter',
    help: 'Records that the outbox did not accept.',
    labels: ['kind'],
  },
  andon_alarm_records_waiting: {
    type: 'gauge',
    help: 'Alarm records kept in memory until the outbox accepts them.',
    labels: [],
  },
  andon_explanations_failed_total: {
    type: 'counter',
    help: 'Abnormal windows whose explanation by occlusion failed. The verdict has no explanation.',
    labels: ['model', 'code'],
  },
} as const satisfies MetricCatalogue;
