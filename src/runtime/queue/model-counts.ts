import type { ModelStatistics, RunResult } from '../../contracts/inference.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorCode } from '../../platform/errors.ts';
import type { MetricsOf } from '../../platform/metrics.ts';
import type { inferenceMetrics } from './inference-metrics.ts';
import type { nvInferenceMetrics } from './nv-inference-metrics.ts';

const NS_PER_MS = 1_000_000;
const US_PER_MS = 1_000;

/** Counts and times of one version, as the Open Inference Protocol defines them. */
export const noTotals = {
  inferences: 0,
  executions: 0,
  succeeded: 0,
  succeededMs: 0,
  failed: 0,
  failedMs: 0,
  queuedMs: 0,
  computedMs: 0,
};
export type Totals = Readonly<typeof noTotals>;

/** Metric of a total, and the number of its units in one of the total. */
const metricOfTotal = {
  succeeded: ['nv_inference_request_success', 1],
  failed: ['nv_inference_request_failure', 1],
  inferences: ['nv_inference_count', 1],
  executions: ['nv_inference_exec_count', 1],
  succeededMs: ['nv_inference_request_duration_us', US_PER_MS],
  queuedMs: ['nv_inference_queue_duration_us', US_PER_MS],
  computedMs: ['nv_inference_compute_infer_duration_us', US_PER_MS],
} as const satisfies Partial<Record<keyof Totals, readonly [keyof typeof nvInferenceMetrics, number]>>;

type ModelVersion = { readonly name: string; readonly version: number };

/** Adds what is new since `reported` to the metrics: two copies of a model count under the same labels. */
export function reportTotals(
  metrics: MetricsOf<typeof nvInferenceMetrics>,
  { name, version }: ModelVersion,
  totals: Totals,
  reported: Totals,
): void {
  const labels = { model: name, version: String(version) };
  for (const total of Object.keys(metricOfTotal) as (keyof typeof metricOfTotal)[]) {
    const [metric, factor] = metricOfTotal[total];
    metrics[metric].inc(labels, (totals[total] - reported[total]) * factor);
  }
}

export function statisticsOf(
  { name, version }: ModelVersion,
  totals: Totals,
  lastInferenceMs: EpochMs,
): ModelStatistics {
  const { inferences, executions, succeeded, succeededMs, failed, failedMs, queuedMs, computedMs } = totals;
  const total = (count: number, ms: number) => ({ count, ns: Math.round(ms * NS_PER_MS) });
  return {
    name,
    version,
    lastInferenceMs,
    inferences,
    executions,
    succeeded: total(succeeded, succeededMs),
    failed: total(failed, failedMs),
    queued: total(succeeded, queuedMs),
    computed: total(succeeded, computedMs),
  };
}

/** Adds up those of the same version. */
export function mergeStatistics(all: readonly ModelStatistics[]): readonly ModelStatistics[] {
  const byModel = new Map<string, ModelStatistics>();
  for (const found of all) {
    const key = `${found.name}@${found.version}`;
    const other = byModel.get(key);
    byModel.set(key, other === undefined ? found : addStatistics(other, found));
  }
  return [...byModel.values()];
}

function addStatistics(a: ModelStatistics, b: ModelStatistics): ModelStatistics {
  const both = (key: 'succeeded' | 'failed' | 'queued' | 'computed') => ({
    count: a[key].count + b[key].count,
    ns: a[key].ns + b[key].ns,
  });
  return {
    name: a.name,
    version: a.version,
    lastInferenceMs: Math.max(a.lastInferenceMs, b.lastInferenceMs),
    inferences: a.inferences + b.inferences,
    executions: a.executions + b.executions,
    succeeded: both('succeeded'),
    failed: both('failed'),
    queued: both('queued'),
    computed: both('computed'),
  };
}

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
