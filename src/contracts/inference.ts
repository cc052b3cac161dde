import type { ModelReference } from '../domain/model/model-reference.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { JudgedBy, ProviderFallback } from '../domain/alarm/verdict.ts';
import type { AnyManifest, ModelManifest } from './model-manifest.ts';

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

/** A model ready to run for clients: any graph. */
export type ServedModel = {
  readonly manifest: AnyManifest;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly judgedBy: JudgedBy;
};

/** A model ready to run for a watch: it has columns, window and threshold. */
export type ReadyModel = ServedModel & { readonly manifest: ModelManifest };

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
  /** Of the version that ran, which need not be the one that was ready when the run was asked for. */
  readonly manifest: AnyManifest;
  /** Time of `session.run` alone, in the host. */
  readonly runMs: number;
};

/** Who waits: a watch, whose windows go first, or a client, whose request may be told to come again. */
export type RunPriority = 'watch' | 'client';

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

/** One version in the model directory. */
export type RepositoryEntry = {
  readonly name: string;
  readonly version: number;
  /** 'unloaded': on disk only. */
  readonly state: ModelStatus['state'] | 'unloaded';
  /** Why it cannot be used, or that it is unverified; '' otherwise. */
  readonly reason: string;
  /** Whether the name alone means this version. */
  readonly active: boolean;
};

/** What is loaded, at one moment. */
export interface LoadedModels {
  /** The model as a client's run would find it, whatever graph it is; undefined where it cannot run. */
  served(model: ModelReference): ServedModel | undefined;
  /** One for each model and copy: those of the watches first. */
  statuses(): readonly ModelStatus[];
  /** Of each version that is loaded, the watches' and the clients' runs together. */
  statistics(): readonly ModelStatistics[];
}

/** Models as clients find them. */
export interface ClientInference {
  /** As it can run now for a client, in this process; undefined also where only the process of the watches has it. */
  served(model: ModelReference): ServedModel | undefined;
  /** Those of every process. */
  models(): Promise<LoadedModels>;
  /**
   * One run. Names, types and shapes are checked before; a client is given what the graph gives, NaN and infinities too.
   *
   * It waits behind every watch's, and may go as one batch with those of other clients. Where the host is
   * lost, the run under way fails, and those that wait go to the next host, as long as their deadline allows.
   *
   * @throws {OperatingError} 'model-not-ready' | 'host-crashed' | 'inference-timeout' | 'inference-queue-full' (retry);
   *   'model-input-invalid' | 'model-output-invalid' | 'model-run-failed' (reject).
   */
  run(model: ModelReference, inputs: Tensors, priority: 'client'): Promise<RunResult>;
  /**
   * Loads a model for clients, or loads it anew where it is loaded: a version without number is looked up again.
   * Resolves once it is ready; one that could not be loaded stays listed with the reason, and a version that ran before
   * goes on.
   *
   * @throws {OperatingError} Why it could not be loaded; 'too-many-models'.
   */
  load(model: ModelReference): Promise<void>;
  /**
   * Takes a clients' model out of memory. Nothing happens where it is not loaded.
   *
   * @throws {OperatingError} 'model-in-use' where a watch uses it.
   */
  unload(model: ModelReference): Promise<void>;
  /** Every version on disk, and what is loaded of it; in order of name and version. */
  repository(): Promise<readonly RepositoryEntry[]>;
}

/** Runs models in supervised child processes; nothing of ONNX Runtime is ever loaded in the agent's own process. */
export interface InferenceHost extends LoadedModels, AsyncDisposable {
  /** Starts the child and loads the models; returns at once, and reports under `inference` and `model/<name>`. */
  start(): void;
  /**
   * The watches' model if it can run now, or while its host is being replaced after a crash, within its deadline: then a
   * run waits for the next host. Undefined while it loads for the first time, failed or quarantined.
   */
  ready(model: ModelReference): ReadyModel | undefined;
  /**
   * One run, as for clients; for a watch every float must be finite, before and after.
   *
   * @param priority 'watch' where left out.
   */
  run(model: ModelReference, inputs: Tensors, priority?: RunPriority): Promise<RunResult>;
  /**
   * Looks again at which versions are active, and tries again what failed or is quarantined. A new version takes over
   * once it has proved itself in a fresh process; until then, and where it does not, the one before goes on.
   */
  reload(): void;
  /** Monotonic time of the child's last answer to a ping; the watchdog is fed only while it advances. */
  lastTickMs(): number;
}
