import type { ModelStatistics, RunResult } from '../../contracts/inference.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Metrics, MetricsOf } from '../../platform/metrics.ts';
import type { inferenceMetrics } from './inference-metrics.ts';
import { nvInferenceMetrics } from './nv-inference-metrics.ts';

const NS_PER_MS = 1_000_000;
const US_PER_MS = 1_000;

/** A request that ended. Times are monotonic. */
export type EndedRequest = {
  readonly rows: number;
  readonly queuedMs: number;
  /** When its run began. */
  readonly startedMs: number;
  /** Time of `session.run`. */
  readonly runMs: number;
};

type Totals = {
  inferences: number;
  executions: number;
  succeeded: number;
  succeededMs: number;
  failed: number;
  failedMs: number;
  queuedMs: number;
  computedMs: number;
};

const NOTHING: Readonly<Totals> = {
  inferences: 0,
  executions: 0,
  succeeded: 0,
  succeededMs: 0,
  failed: 0,
  failedMs: 0,
  queuedMs: 0,
  computedMs: 0,
};

/** Counts of one version of a model, as the Open Inference Protocol defines them. */
export class ModelCounts implements Disposable {
  readonly #name: string;
  readonly #version: number;
  readonly #clock: Clock;
  readonly #metrics;
  readonly #stopTelling: () => void;
  readonly #totals: Totals = { ...NOTHING };
  /** The part of the totals that the metrics have. */
  #told: Readonly<Totals> = NOTHING;
  #lastInferenceMs: EpochMs = 0;

  constructor(model: { readonly name: string; readonly version: number }, clock: Clock, metrics: Metrics) {
    this.#name = model.name;
    this.#version = model.version;
    this.#clock = clock;
    this.#metrics = metrics.of(nvInferenceMetrics);
    this.#stopTelling = metrics.beforeText(() => this.#tell());
  }

  get version(): number {
    return this.#version;
  }

  executed(): void {
    this.#totals.executions += 1;
    this.#lastInferenceMs = this.#clock.nowMs();
  }

  succeeded({ rows, queuedMs, startedMs, runMs }: EndedRequest): void {
    this.#totals.inferences += rows;
    this.#totals.succeeded += 1;
    this.#totals.succeededMs += this.#clock.monotonicMs() - queuedMs;
    this.#totals.queuedMs += startedMs - queuedMs;
    this.#totals.computedMs += runMs;
  }

  failed(queuedMs: number): void {
    this.#totals.failed += 1;
    this.#totals.failedMs += this.#clock.monotonicMs() - queuedMs;
  }

  /** Another version replaces it; its counts stay in the metrics. */
  [Symbol.dispose](): void {
    this.#tell();
    this.#stopTelling();
  }

  statistics(): ModelStatistics {
    const { inferences, executions, succeeded, succeededMs, failed, failedMs, queuedMs, computedMs } = this.#totals;
    return {
      name: this.#name,
      version: this.#version,
      lastInferenceMs: this.#lastInferenceMs,
      inferences,
      executions,
      succeeded: { count: succeeded, ns: nanoseconds(succeededMs) },
      failed: { count: failed, ns: nanoseconds(failedMs) },
      queued: { count: succeeded, ns: nanoseconds(queuedMs) },
      computed: { count: succeeded, ns: nanoseconds(computedMs) },
    };
  }

  /** Adds only what is new: two copies of a model count under the same labels. */
  #tell(): void {
    const labels = { model: this.#name, version: String(this.#version) };
    const since = (total: keyof Totals) => this.#totals[total] - this.#told[total];
    this.#metrics.nv_inference_request_success.inc(labels, since('succeeded'));
    this.#metrics.nv_inference_request_failure.inc(labels, since('failed'));
    this.#metrics.nv_inference_count.inc(labels, since('inferences'));
    this.#metrics.nv_inference_exec_count.inc(labels, since('executions'));
    this.#metrics.nv_inference_request_duration_us.inc(labels, since('succeededMs') * US_PER_MS);
    this.#metrics.nv_inference_queue_duration_us.inc(labels, since('queuedMs') * US_PER_MS);
    this.#metrics.nv_inference_compute_infer_duration_us.inc(labels, since('computedMs') * US_PER_MS);
    this.#told = { ...this.#totals };
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

function nanoseconds(ms: number): number {
  return Math.round(ms * NS_PER_MS);
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
