import type {
  ModelStatus,
  RunPriority,
  RunResult,
  ServedModel,
  Tensors,
  TensorSpec,
} from '../../contracts/inference.ts';
import type { HostRun, RunParams } from '../../contracts/model-session.ts';
import type { OperatingError } from '../../platform/errors.ts';
import type { ModelUse } from './model-use.ts';

/** A model as the scheduler sees it. Compared by identity. */
export type QueuedModel = { readonly label: string; readonly use: ModelUse };

export type RunRequest<M extends QueuedModel = QueuedModel> = {
  readonly model: M;
  readonly priority: RunPriority;
  readonly inputs: Tensors;
  /** Specs that the inputs were checked against. */
  readonly specs: readonly TensorSpec[];
  /** 1 if the inputs have no rows. */
  readonly rows: number;
  /** Requests with the same key can run as one batch; undefined if this one must run alone. */
  readonly joinKey: string | undefined;
  /** Monotonic. */
  readonly queuedMs: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: unknown) => void;
};

/** What a run shows about where it ran. 'lost': the host is gone, and the requests with it; 'failed': ONNX Runtime failed. */
export type RunOutcome =
  | { readonly kind: 'ran'; readonly tookMs: number }
  | { readonly kind: 'lost' | 'failed' | 'refused'; readonly reason: string };

/** A version of a model as a host or a server runs it. */
export type RunSession = {
  readonly served: ServedModel;
  /** @throws {OperatingError} The error of the host or server. */
  readonly run: (params: RunParams, timeoutMs: number) => Promise<HostRun>;
  /** Notes the outcome of each run. */
  readonly ended: (outcome: RunOutcome, priority: RunPriority) => void;
};

/** Work for a host other than runs. */
export type HostJob<M extends QueuedModel> =
  | { readonly kind: 'load'; readonly model: M; readonly queuedMs: number }
  /** `done` is also called if the host ends first: its session is gone then. `host` is compared by identity. */
  | { readonly kind: 'unload'; readonly key: string; readonly host: object; readonly done: () => void }
  | { readonly kind: 'ping' };

/** Does the jobs of a scheduler: an inference host, or the connections to a server. */
export interface Worker<M extends QueuedModel> {
  /** Number of jobs that it can do at the same time now; 0 if none. */
  jobsMax(): number;
  /** Returns whether a run of the model can begin now. */
  isReady(model: M): boolean;
  /** Returns the error of a run whose model was not ready before its deadline. */
  notReady(model: M): OperatingError;
  /** Returns where a run of a model that is ready takes place; undefined if the model has left the worker. */
  session(model: M): RunSession | undefined;
  /** Sends runs of a model that has left to where it is now, or rejects them. */
  passOn(model: M, requests: readonly RunRequest<M>[]): void;
  /** Does a job other than a run; never rejects. */
  do(job: HostJob<M>): Promise<void>;
}

/** Models that judge windows, here or on a server. */
export interface WindowRunner<M extends QueuedModel> {
  /** Returns the model as a run would find it; undefined if a run would fail. */
  ready(model: M): ServedModel | undefined;
  statusOf(model: M): ModelStatus;
  run(model: M, inputs: Tensors): Promise<RunResult>;
}
