import type { MetricCatalogue } from '../platform/metrics.ts';

export const rolloutMetrics = {
  andon_rollout_windows_total: {
    type: 'counter',
    help: 'Windows that both versions of a rollout judged, by what they said: bothNormal, bothAbnormal, onlyCandidate, onlyIncumbent (abnormal by one alone).',
    labels: ['watch', 'said'],
  },
  andon_rollout_failures_total: {
    type: 'counter',
    help: 'Windows of a rollout that a side (candidate, incumbent) did not judge, by why: crash, deadline, invalid, not-ready, skipped.',
    labels: ['watch', 'side', 'failure'],
  },
  andon_rollout_stand_ins_total: {
    type: 'counter',
    help: 'Windows that the incumbent decided because the candidate, whose turn it was, did not.',
    labels: ['watch'],
  },
  andon_rollout_stopped_total: {
    type: 'counter',
    help: 'Candidates stopped, by the kind of rollout and the cause: crash, deadline, invalid-output, alarm-rate.',
    labels: ['watch', 'kind', 'cause'],
  },
} as const satisfies MetricCatalogue;
