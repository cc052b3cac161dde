import type { MetricCatalogue } from '../platform/metrics.ts';

export const rolloutMetrics = {
  andon_rollout_windows_total: {
    type: 'counter',
    help: 'Windows that both versions of a rollout judged, by their verdicts: bothNormal, bothAbnormal, onlyCandidate or onlyIncumbent (abnormal for one version only).',
    labels: ['watch', 'said'],
  },
  andon_rollout_failures_total: {
    type: 'counter',
    help: 'Windows of a rollout that a side (candidate, incumbent) did not judge, by cause: crash, deadline, invalid, not-ready, skipped.',
    labels: ['watch', 'side', 'failure'],
  },
  andon_rollout_stand_ins_total: {
    type: 'counter',
    help: 'Windows that the incumbent decided instead of the candidate.',
    labels: ['watch'],
  },
  andon_rollout_stopped_total: {
    type: 'counter',
    help: 'Stopped candidates, by kind of rollout and cause: crash, deadline, invalid-output, alarm-rate.',
    labels: ['watch', 'kind', 'cause'],
  },
} as const satisfies MetricCatalogue;
