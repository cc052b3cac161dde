import { counter, durationBuckets, gauge, histogram, type MetricCatalogue } from '../../platform/metrics.ts';

export const remoteMetrics = {
  andon_remote_requests_total: counter(
    "Requests to the server of a remote model, each attempt, by how they ended: 'ok' or the code of the error.",
    ['model', 'outcome'],
  ),
  andon_remote_retries_total: counter('Requests to the server of a remote model that were sent again.', ['model']),
  andon_remote_duration_seconds: histogram(
    'Time of a remote run from asking to its checked answer, with its further attempts.',
    ['model'],
    durationBuckets,
  ),
  andon_remote_circuit_open: gauge(
    '1 while a remote model gets no runs: its server failed several times in a row, or is not proved yet.',
    ['model', 'host'],
  ),
  andon_remote_queued_runs: gauge('Runs that wait for a connection to the server of a remote model.', [
    'model',
    'host',
  ]),
  andon_remote_fallback_runs_total: counter(
    "Runs that the local fallback of a remote model judged, by the code of the remote model's error.",
    ['model', 'reason'],
  ),
} as const satisfies MetricCatalogue;
