import type { ModelStatistics, ModelUsage, RunPriority, Tensors } from '../../contracts/inference.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Deps } from '../../platform/deps.ts';
import { invariant } from '../../platform/errors.ts';
import { batchSize } from '../../models/checks/batch-rows.ts';
import { rowShape } from '../../models/checks/golden.ts';
import type { Batching } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { nvInferenceMetrics } from './nv-inference-metrics.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { type Serving, servingOf } from '../../models/store/serving.ts';

const NS_PER_MS = 1_000_000;
const US_PER_MS = 1_000;

/** Counts and times of one version, as the Open Inference Protocol defines them. */
const noTotals = {
  inferences: 0,
  executions: 0,
  succeeded: 0,
  succeededMs: 0,
  failed: 0,
  failedMs: 0,
  queuedMs: 0,
  computedMs: 0,
};
type Totals = Readonly<typeof noTotals>;

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

/** A request that ran, as the counts need it. */
type ExecutedRequest = { readonly rows: number; readonly queuedMs: number; readonly priority: RunPriority };

/** Limits of the version that is ready, and counts of what it has done. */
export class ModelUse implements Disposable {
  readonly #label: string;
  readonly #config: ModelsConfig;
  readonly #clock;
  readonly #batchRows;
  readonly #metrics;
  readonly #stopReporting: () => void;
  #version: StoredModel | undefined;
  #serving: Serving | undefined;
  #batching: Batching = 'none';
  #totals = { ...noTotals };
  /** The part of the totals that the metrics have. */
  #reported: Totals = noTotals;
  #lastInferenceMs: EpochMs = 0;

  constructor(label: string, config: ModelsConfig, { clock, metrics }: Deps) {
    this.#label = label;
    this.#config = config;
    this.#clock = clock;
    this.#batchRows = metrics.of(inferenceMetrics).andon_inference_batch_rows;
    this.#metrics = metrics.of(nvInferenceMetrics);
    this.#stopReporting = metrics.beforeText(() => this.#report());
  }

  /** Call when a version becomes ready, for the first time or again. */
  begin(stored: StoredModel, batching: Batching): void {
    this.#serving = servingOf(this.#config, stored.manifest);
    this.#batching = batching;
    if (this.#version?.version !== stored.version) {
      // The counts of the version before stay in the metrics.
      this.#report();
      this.#totals = { ...noTotals };
      this.#reported = noTotals;
      this.#lastInferenceMs = 0;
    }
    this.#version = stored;
  }

  /** @throws {InvariantError} Before the model was ready for the first time. */
  get serving(): Serving {
    invariant(this.#serving !== undefined, `model '${this.#label}' was ready before it was run`);
    return this.#serving;
  }

  statistics(): ModelStatistics | undefined {
    return this.#version && statisticsOf(this.#version, this.#totals, this.#lastInferenceMs);
  }

  /** Returns the number of runs of this version, and their mean times in ms. */
  means(): Pick<ModelUsage, 'runs' | 'meanRunMs' | 'meanWaitMs'> {
    const { executions, succeeded, queuedMs, computedMs } = this.#totals;
    const mean = (sumMs: number) => (succeeded === 0 ? undefined : sumMs / succeeded);
    return { runs: executions, meanRunMs: mean(computedMs), meanWaitMs: mean(queuedMs) };
  }

  /**
   * Returns the rows of a request, and the key that requests share which can run as one batch.
   *
   * @throws {OperatingError} 'model-input-invalid' if a client sends more rows than one run may have.
   */
  rowsOf(inputs: Tensors, priority: RunPriority): { readonly rows: number; readonly joinKey: string | undefined } {
    const rows = this.#batching === 'none' ? undefined : batchSize(inputs);
    if (rows === undefined || priority === 'watch') return { rows: rows ?? 1, joinKey: undefined };
    const { batchMax } = this.serving;
    if (rows > batchMax)
      throw inferenceFailure(
        'model-input-invalid',
        `${rows} rows at once, but model '${this.#label}' takes ${batchMax}; send fewer, or raise models.limits.${this.#version?.name ?? this.#label}.maxBatch`,
      );
    return { rows, joinKey: this.#batching === 'rows' ? rowShape(inputs) : undefined };
  }

  /** One run succeeded for all these requests. @param runMs Time of `session.run`. */
  noteExecuted(requests: readonly ExecutedRequest[], startedMs: number, runMs: number): void {
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
    if (requests[0]?.priority === 'watch') return;
    const rows = requests.reduce((sum, request) => sum + request.rows, 0);
    this.#batchRows.observe({ model: this.#label }, rows);
  }

  /** @param queuedMs Monotonic time of the request. */
  noteFailed(queuedMs: number): void {
    if (this.#version === undefined) return;
    this.#totals.failed += 1;
    this.#totals.failedMs += this.#clock.monotonicMs() - queuedMs;
  }

  [Symbol.dispose](): void {
    this.#report();
    this.#stopReporting();
  }

  /** Adds what is new to the metrics: two copies of a model count under the same labels. */
  #report(): void {
    if (this.#version === undefined) return;
    const labels = { model: this.#version.name, version: String(this.#version.version) };
    for (const total of Object.keys(metricOfTotal) as (keyof typeof metricOfTotal)[]) {
      const [metric, factor] = metricOfTotal[total];
      this.#metrics[metric].inc(labels, (this.#totals[total] - this.#reported[total]) * factor);
    }
    this.#reported = { ...this.#totals };
  }
}

function statisticsOf({ name, version }: ModelVersion, totals: Totals, lastInferenceMs: EpochMs): ModelStatistics {
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
