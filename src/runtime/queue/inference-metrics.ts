import type { RunResult } from '../../contracts/inference.ts';
import { errorCode } from '../../platform/errors.ts';
import {
  counter,
  durationBuckets,
  gauge,
  histogram,
  type MetricCatalogue,
  type MetricsOf,
} from '../../platform/metrics.ts';

export const inferenceMetrics = {
  andon_inference_duration_seconds: histogram(
    'Time from asking the host for a run to its answer, without the wait in the queue.',
    ['model'],
    [0.0001, 0.00025, ...durationBuckets],
  ),
  andon_inference_runs_total: counter("Runs by how they ended: 'ok' or the code of the error.", ['model', 'outcome']),
  andon_inference_queued_runs: gauge('Runs that wait for an inference host, those of clients included.', ['host']),
  andon_inference_host_restarts_total: counter(
    'Inference hosts replaced, by reason: crash, timeout, hang, provider; memory or version if a fresh one took over.',
    ['reason', 'host'],
  ),
  andon_inference_host_resident_bytes: gauge('Resident memory of an inference host, as of its last ping.', ['host']),
  andon_inference_provider_info: gauge('1 for the execution provider that the model really runs on.', [
    'model',
    'version',
    'provider',
    'host',
  ]),
  andon_inference_batch_rows: histogram('Rows in one run of clients.', ['model'], [1, 2, 4, 8, 16, 32, 64, 128]),
  andon_batch_windows: histogram(
    'Number of windows in one run of the inference host.',
    ['model'],
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  andon_explanations_failed_total: counter(
    'Abnormal windows whose explanation by occlusion failed. The verdict has no explanation.',
    ['model', 'code'],
  ),
  andon_model_versions_refused_total: counter(
    'Versions that failed their checks before activation, by the code of the error.',
    ['model', 'code'],
  ),
  andon_model_untrusted_total: counter(
    'Times that a version was not loaded because no key of models.trust vouches for it as it is.',
    ['model'],
  ),
  andon_model_quarantines_total: counter('Times that a model was quarantined because it ended the host too often.', [
    'model',
  ]),
  andon_model_acts_total: counter(
    "Acts on the model directory (install, activate, …) by how they ended: 'ok' or 'refused'.",
    ['action', 'outcome'],
  ),
} as const satisfies MetricCatalogue;

/** Runs a model, and counts how it ended. */
export async function countedRun(
  { andon_inference_runs_total: runs }: Pick<MetricsOf<typeof inferenceMetrics>, 'andon_inference_runs_total'>,
  model: string,
  run: () => Promise<RunResult>,
): Promise<RunResult> {
  try {
    const result = await run();
    runs.inc({ model, outcome: 'ok' });
    return result;
  } catch (error) {
    runs.inc({ model, outcome: errorCode(error) });
    throw error;
  }
}
