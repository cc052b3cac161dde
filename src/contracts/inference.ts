import type { ModelReference } from '../domain/model-reference.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { JudgedBy, ProviderFallback } from '../domain/verdict.ts';
import type { ModelManifest } from './model-manifest.ts';

export const executionProviders = ['cuda', 'webgpu', 'cpu'] as const;
export type ExecutionProvider = (typeof executionProviders)[number];

export type TensorType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

/** Row-major; float16 as its bits in a Uint16Array. The data belongs to whoever made it until the run's promise settles. */
export type Tensor = { readonly type: TensorType; readonly dims: readonly number[]; readonly data: TensorData };
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[];

export type Tensors = Readonly<Record<string, Tensor>>;

/** A graph's input or output; -1 is a dimension that may be any size. */
export type TensorSpec = { readonly name: string; readonly type: TensorType; readonly dims: readonly number[] };

/** A model ready to run. */
export type ReadyModel = {
  readonly manifest: ModelManifest;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly judgedBy: JudgedBy;
};

export type ModelStatus = {
  readonly name: string;
  readonly version: number;
  readonly state: 'loading' | 'ready' | 'failed' | 'quarantined';
  /** Why it is not ready; '' where it is. */
  readonly reason: string;
  readonly provider: string | undefined;
  readonly fallbacks: readonly ProviderFallback[];
};

export type RunResult = {
  readonly outputs: Tensors;
  readonly judgedBy: JudgedBy;
  /** Time of `session.run` alone, in the host. */
  readonly runMs: number;
};

/** Who waits: a watch, whose windows go first, or a visitor, whose request may be told to come again. */
export type RunPriority = 'watch' | 'visitor';

/** What a model has done since it was loaded; times in nanoseconds, as the Open Inference Protocol's statistics have them. */
export type ModelStatistics = {
  readonly name: string;
  readonly version: number;
  readonly lastInferenceMs: EpochMs;
  /** Rows judged. */
  readonly inferences: number;
  /** Runs of the session: fewer than rows where they were batched. */
  readonly executions: number;
  readonly succeeded: { readonly count: number; readonly ns: number };
  readonly failed: { readonly count: number; readonly ns: number };
  readonly queued: { readonly count: number; readonly ns: number };
  readonly computed: { readonly count: number; readonly ns: number };
};

/** Runs models in supervised child processes; nothing of ONNX Runtime is ever loaded in the agent's own process. */
export interface InferenceHost extends AsyncDisposable {
  /** Starts the child and loads the models; returns at once, and reports under `inference` and `model/<name>`. */
  start(): void;
  /** The model if it can run now; undefined while loading, restarting, failed or quarantined. */
  ready(model: ModelReference): ReadyModel | undefined;
  statuses(): readonly ModelStatus[];
  /**
   * One run. Names, types and shapes are checked before, that every float is finite before and after.
   *
   * @param priority 'watch' where left out.
   * @throws {OperatingError} 'model-not-ready' | 'host-crashed' | 'inference-timeout' | 'inference-queue-full' (retry);
   *   'model-input-invalid' | 'model-output-invalid' | 'model-run-failed' (reject).
   */
  run(model: ModelReference, inputs: Tensors, priority?: RunPriority): Promise<RunResult>;
  /** Monotonic time of the child's last answer to a ping; the watchdog is fed only while it advances. */
  lastTickMs(): number;
}
