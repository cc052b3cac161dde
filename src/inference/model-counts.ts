import type { ModelStatistics } from '../contracts/inference.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Clock } from '../platform/clock.ts';
import type { MetricsOf } from '../platform/metrics.ts';
import type { nvInferenceMetrics } from './nv-inference-metrics.ts';

const NS_PER_MS = 1_000_000;

/** One request, told when it ended. Times are monotonic. */
export type EndedRequest = {
  readonly rows: number;
  readonly queuedMs: number;
  /** When its run began. */
  readonly startedMs: number;
  /** Time of `session.run`. */
  readonly runMs: number;
};

/** What one version of a model has done, in the words of the Open Inference Protocol. */
export class ModelCounts {
  readonly #name: string;
  readonly #version: number;
  readonly #clock: Clock;
  readonly #metrics: MetricsOf<typeof nvInferenceMetrics>;
  readonly #labels: { readonly model: string; readonly version: string };
  #lastInferenceMs: EpochMs = 0;
  #inferences = 0;
  #executions = 0;
  #succeeded = 0;
  #succeededMs = 0;
  #failed = 0;
  #failedMs = 0;
  #queuedMs = 0;
  #computedMs = 0;

  constructor(
    model: { readonly name: string; readonly version: number },
    clock: Clock,
    metrics: MetricsOf<typeof nvInferenceMetrics>,
  ) {
    this.#name = model.name;
    this.#version = model.version;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#labels = { model: model.name, version: String(model.version) };
  }

  get version(): number {
    return this.#version;
  }

  executed(): void {
    this.#executions += 1;
    this.#lastInferenceMs = this.#clock.nowMs();
    this.#metrics.nv_inference_exec_count.inc(this.#labels);
  }

  succeeded({ rows, queuedMs, startedMs, runMs }: EndedRequest): void {
    const tookMs = this.#clock.monotonicMs() - queuedMs;
    this.#inferences += rows;
    this.#succeeded += 1;
    this.#succeededMs += tookMs;
    this.#queuedMs += startedMs - queuedMs;
    this.#computedMs += runMs;
    const { nv_inference_request_success: success, nv_inference_count: count } = this.#metrics;
    success.inc(this.#labels);
    count.inc(this.#labels, rows);
    this.#metrics.nv_inference_request_duration_us.inc(this.#labels, tookMs * 1000);
    this.#metrics.nv_inference_queue_duration_us.inc(this.#labels, (startedMs - queuedMs) * 1000);
    this.#metrics.nv_inference_compute_infer_duration_us.inc(this.#labels, runMs * 1000);
  }

  failed(queuedMs: number): void {
    this.#failed += 1;
    this.#failedMs += this.#clock.monotonicMs() - queuedMs;
    this.#metrics.nv_inference_request_failure.inc(this.#labels);
  }

  statistics(): ModelStatistics {
    return {
      name: this.#name,
      version: this.#version,
      lastInferenceMs: this.#lastInferenceMs,
      inferences: this.#inferences,
      executions: this.#executions,
      succeeded: { count: this.#succeeded, ns: nanoseconds(this.#succeededMs) },
      failed: { count: this.#failed, ns: nanoseconds(this.#failedMs) },
      queued: { count: this.#succeeded, ns: nanoseconds(this.#queuedMs) },
      computed: { count: this.#succeeded, ns: nanoseconds(this.#computedMs) },
    };
  }
}

/** The same model in two hosts. */
export function addStatistics(a: ModelStatistics, b: ModelStatistics): ModelStatistics {
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
