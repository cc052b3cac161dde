import { durationBuckets } from '../../platform/metrics.ts';
import type { MetricCatalogue } from '../../platform/metrics.ts';

export const inferenceMetrics = {
  andon_inference_duration_seconds: {
    type: 'histogram',
    help: 'Time from asking the host for a run to its answer, without the wait in the queue.',
    labels: ['model'],
    buckets: [0.0001, 0.00025, ...durationBuckets],
  },
  andon_inference_runs_total: {
    type: 'counter',
    help: "Runs by how they ended: 'ok' or the code of the error.",
    labels: ['model', 'outcome'],
  },
  andon_inference_queued_runs: {
    type: 'gauge',
    help: 'Runs that wait for an inference host, those of clients included.',
    labels: ['host'],
  },
  andon_inference_host_restarts_total: {
    type: 'counter',
    help: 'Inference hosts replaced, by reason: crash, timeout, hang, provider; memory or version where a fresh one took over.',
    labels: ['reason', 'host'],
  },
  andon_inference_host_resident_bytes: {
    type: 'gauge',
    help: 'Resident memory of an inference host, as it said itself at its last ping.',
    labels: ['host'],
  },
  andon_inference_provider_info: {
    type: 'gauge',
    help: '1 for the execution provider that the model really runs on.',
    labels: ['model', 'version', 'provider', 'host'],
  },
  andon_inference_batch_rows: {
    type: 'histogram',
    help: 'Rows that went as one run for clients.',
    labels: ['model'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
  },
  andon_model_versions_refused_total: {
    type: 'counter',
    help: 'Versions that were to be loaded beside models that run and did not prove themselves, by the code of the error.',
    labels: ['model', 'code'],
  },
  andon_model_untrusted_total: {
    type: 'counter',
    help: 'Times that a version was not loaded because no key of models.trust vouches for it as it is.',
    labels: ['model'],
  },
  andon_model_quarantines_total: {
    type: 'counter',
    help: 'Times that a model was set aside for taking the host down too often.',
    labels: ['model'],
  },
  andon_model_acts_total: {
    type: 'counter',
    help: "Acts on the model directory (install, activate, …) by how they ended: 'ok' or 'refused'.",
    labels: ['action', 'outcome'],
  },
} as const satisfies MetricCatalogue;
