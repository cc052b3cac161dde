import { durationBuckets } from '../../platform/metrics.ts';
import type { MetricCatalogue } from '../../platform/metrics.ts';

export const remoteMetrics = {
  andon_remote_requests_total: {
    type: 'counter',
    help: "Requests to the server of a remote model, each attempt, by how they ended: 'ok' or the code of the error.",
    labels: ['model', 'outcome'],
  },
  andon_remote_retries_total: {
    type: 'counter',
    help: 'Requests to the server of a remote model that were sent again.',
    labels: ['model'],
  },
  andon_remote_duration_seconds: {
    type: 'histogram',
    help: 'Time of a remote run from asking to its checked answer, with its further attempts.',
    labels: ['model'],
    buckets: durationBuckets,
  },
  andon_remote_circuit_open: {
    type: 'gauge',
    help: '1 while a remote model is not asked: its server failed several times in a row, or is not proved yet.',
    labels: ['model', 'host'],
  },
  andon_remote_queued_runs: {
    type: 'gauge',
    help: 'Runs that wait for a connection to the server of a remote model.',
    labels: ['model', 'host'],
  },
  andon_remote_fallback_runs_total: {
    type: 'counter',
    help: "Runs that the local fallback of a remote model judged, by the code of the remote model's error.",
    labels: ['model', 'reason'],
  },
} as const satisfies MetricCatalogue;
