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

/** Row-major; float16 as its bits in a Uint16Array. The caller must not change the data until the run's promise settles. */
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

/** What a model does in its process, and what the process takes. */
export type ModelUsage = {
  /** Name of the inference host. */
  readonly host: string;
  /** Memory of the host as of its last ping, which all its models share; undefined before the first ping. */
  readonly residentBytes: number | undefined;
  /** Runs of this version since it was loaded. */
  readonly runs: number;
  /** Mean time of a run, and of its wait; undefined before the first run. */
  readonly meanRunMs: number | undefined;
  readonly meanWaitMs: number | undefined;
};

export type ModelStatus = {
  readonly name: string;
  readonly version: number;
  /** 'absent': no version is active yet, and its watches are learning. */
  readonly state: 'loading' | 'ready' | 'absent' | 'failed' | 'quarantined';
  /** Reason why it is not ready; undefined if it is ready. */
  readonly reason: string | undefined;
  readonly provider: string | undefined;
  readonly fallbacks: readonly ProviderFallback[];
  readonly usage?: ModelUsage | undefined;
};

export type RunResult = {
  readonly outputs: Tensors;
  readonly judgedBy: JudgedBy;
  /** Manifest of the version that ran; it may differ from the version that was ready at the request. */
  readonly manifest: AnyManifest;
  /** Time of `session.run` alone, in the host. */
  readonly runMs: number;
};

/** Priority of a run: windows of a watch go first; a client's request may be refused with 'retry'. */
export type RunPriority = 'watch' | 'client';

/** Counters of a model since it was loaded; times in nanoseconds, as in the statistics of the Open Inference Protocol. */
export type ModelStatistics = {
  readonly name: string;
  readonly version: number;
  readonly lastInferenceMs: EpochMs;
  /** Rows judged. */
  readonly inferences: number;
  /** Number of session runs; fewer than rows if rows were batched. */
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
  /** Why it cannot be used, or that it is unverified; undefined otherwise. */
  readonly reason: string | undefined;
  /** True if the name without a version selects this version. */
  readonly active: boolean;
};

/** Loaded models at one moment. */
export interface LoadedModels {
  /** Returns the model as a client's run uses it, for any graph; undefined if it cannot run. */
  served(model: ModelReference): ServedModel | undefined;
  /** One for each model and copy: those of the watches first. */
  statuses(): readonly ModelStatus[];
  /** Returns the statistics of each loaded version, over the runs of watches and clients. */
  statistics(): readonly ModelStatistics[];
}

/** Models as clients find them. */
export interface ClientInference {
  /** Returns the model as it can run now for a client in this process; undefined also if only the agent's process has it. */
  served(model: ModelReference): ServedModel | undefined;
  /** Returns the loaded models of every process. */
  models(): Promise<LoadedModels>;
  /**
   * Runs a model. Names, types and shapes are checked first; a client receives the outputs unchanged, NaN and infinity
   * included.
   *
   * The run waits behind the runs of all watches and may be batched with runs of other clients. If the host is lost, the
   * run in flight fails and waiting runs go to the next host, within their deadlines.
   *
   * @throws {OperatingError} 'model-not-ready' | 'host-crashed' | 'inference-timeout' | 'inference-queue-full' (retry);
   *   'model-input-invalid' | 'model-output-invalid' | 'model-run-failed' (reject).
   */
  run(model: ModelReference, inputs: Tensors): Promise<RunResult>;
  /**
   * Loads a model for clients, or loads it again: a reference without a version is resolved again. Resolves when the model
   * is ready. A model that could not be loaded stays listed with the reason, and its previous version keeps running.
   *
   * @throws {OperatingError} The reason why it could not be loaded; 'too-many-models'.
   */
  load(model: ModelReference): Promise<void>;
  /**
   * Unloads a model of clients. Does nothing if it is not loaded.
   *
   * @throws {OperatingError} 'model-in-use' if a watch uses it.
   */
  unload(model: ModelReference): Promise<void>;
  /** Returns every version on disk with its load state, in order of name and version. */
  repository(): Promise<readonly RepositoryEntry[]>;
}
