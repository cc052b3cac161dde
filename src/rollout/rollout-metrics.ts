import { counter, type MetricCatalogue } from '../platform/metrics.ts';

export const rolloutMetrics = {
  andon_rollout_windows_total: counter(
    'Windows that both versions of a rollout judged, by their verdicts: bothNormal, bothAbnormal, onlyCandidate or onlyIncumbent (abnormal for one version only).',
    ['watch', 'said'],
  ),
  andon_rollout_failures_total: counter(
    'Windows of a rollout that a side (candidate, incumbent) did not judge, by cause: crash, deadline, invalid, not-ready, skipped.',
    ['watch', 'side', 'failure'],
  ),
  andon_rollout_stand_ins_total: counter('Windows that the incumbent decided instead of the candidate.', ['watch']),
  andon_rollout_stopped_total: counter(
    'Stopped candidates, by kind of rollout and cause: crash, deadline, invalid-output, alarm-rate.',
    ['watch', 'kind', 'cause'],
  ),
} as const satisfies MetricCatalogue;
