import type { ModelStatistics, RunResult } from '../../contracts/inference.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Metrics, MetricsOf } from '../../platform/metrics.ts';
import type { inferenceMetrics } from './inference-metrics.ts';
import { nvInferenceMetrics } from './nv-inference-metrics.ts';
import type { RunRequest } from './run-requests.ts';

const NS_PER_MS = 1_000_000;
const US_PER_MS = 1_000;

const nothing = {
  inferences: 0,
  executions: 0,
  succeeded: 0,
  succeededMs: 0,
  failed: 0,
  failedMs: 0,
  queuedMs: 0,
  computedMs: 0,
};
type Totals = Readonly<typeof nothing>;

/** Metric of a total, and the number of its units in one of the total. */
const metricOfTotal = {
  succeeded: ['nv_inference_request_success', 1],
  failed: ['nv_inference_request_failure', 1],
  inferences: ['nv_inference_count', 1],
  executions: ['nv_inference_exec_count', 1],
  succeededMs: ['nv_inference_request_duration_us', US_PER_MS],
  queuedMs: ['nv_inference_queue_duration_us', US_PER_MS],
  computedMs: ['nv_inference_compute_infer_duration_us', US_PER_MS],
} as const;

/** Counts of one version of a model, as the Open Inference Protocol defines them. All times are monotonic. */
export class ModelCounts implements Disposable {
  readonly version: number;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #metrics;
  readonly #stopReporting: () => void;
  readonly #totals = { ...nothing };
  /** The part of the totals that the metrics have. */
  #reported: Totals = nothing;
  #lastInferenceMs: EpochMs = 0;

  constructor(model: { readonly name: string; readonly version: number }, clock: Clock, metrics: Metrics) {
    this.#name = model.name;
    this.version = model.version;
    this.#clock = clock;
    this.#metrics = metrics.of(nvInferenceMetrics);
    this.#stopReporting = metrics.beforeText(() => this.#report());
  }

  /** One run succeeded for all these requests. @param runMs Time of `session.run`. */
  succeeded(requests: readonly Pick<RunRequest, 'rows' | 'queuedMs'>[], startedMs: number, runMs: number): void {
    const totals = this.#totals;
    totals.executions += 1;
    this.#lastInferenceMs = this.#clock.nowMs();
    for (const { rows, queuedMs } of requests) {
      totals.inferences += rows;
      totals.succeeded += 1;
      totals.succeededMs += this.#clock.monotonicMs() - queuedMs;
      totals.queuedMs += startedMs - queuedMs;
      totals.computedMs += runMs;
    }
  }

  failed(queuedMs: number): void {
    this.#totals.failed += 1;
    this.#totals.failedMs += this.#clock.monotonicMs() - queuedMs;
  }

  /** Another version replaces it; its counts stay in the metrics. */
  [Symbol.dispose](): void {
    this.#report();
    this.#stopReporting();
  }

  statistics(): ModelStatistics {
    const { inferences, executions, succeeded, succeededMs, failed, failedMs, queuedMs, computedMs } = this.#totals;
    const total = (count: number, ms: number) => ({ count, ns: Math.round(ms * NS_PER_MS) });
    return {
      name: this.#name,
      version: this.version,
      lastInferenceMs: this.#lastInferenceMs,
      inferences,
      executions,
      succeeded: total(succeeded, succeededMs),
      failed: total(failed, failedMs),
      queued: total(succeeded, queuedMs),
      computed: total(succeeded, computedMs),
    };
  }

  /** Adds only what is new: two copies of a model count under the same labels. */
  #report(): void {
    const labels = { model: this.#name, version: String(this.version) };
    for (const [total, [metric, factor]] of Object.entries(metricOfTotal))
      this.#metrics[metric].inc(
        labels,
        (this.#totals[total as keyof Totals] - this.#reported[total as keyof Totals]) * factor,
      );
    this.#reported = { ...this.#totals };
  }
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
