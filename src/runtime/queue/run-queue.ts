import type { RunPriority, RunResult, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { ModelUse } from './model-use.ts';

/** A model as the queue sees it. Compared by identity. */
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

type RunJob<M extends QueuedModel> = {
  readonly kind: 'run';
  readonly model: M;
  readonly requests: readonly RunRequest<M>[];
};

/** Work for the host other than runs. */
export type HostJob<M extends QueuedModel> =
  | { readonly kind: 'load'; readonly model: M; readonly queuedMs: number }
  /** `done` is also called if the host ends first: its session is gone then. `host` is compared by identity. */
  | { readonly kind: 'unload'; readonly key: string; readonly host: object; readonly done: () => void }
  | { readonly kind: 'ping' };

export type Job<M extends QueuedModel> = RunJob<M> | HostJob<M>;

export type NextJob<M extends QueuedModel> =
  | Job<M>
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'none' };

type IsReady<M> = (model: M) => boolean;

/**
 * Work that waits for one host.
 *
 * - Runs of watches, loads and pings keep their order and go before all client requests. Only a load lets client
 *   requests pass that are older than it.
 * - Client requests wait by model and can run as one batch. The model with the oldest request goes first.
 * - A run whose model is not ready delays no other run.
 * - At most `watchRunsMax` runs of watches wait, and `queueMax` client requests per model. More are refused.
 */
export class RunQueue<M extends QueuedModel = QueuedModel> {
  readonly #watchRunsMax: number;
  readonly #jobs: Job<M>[] = [];
  readonly #clients = new Map<M, RunRequest<M>[]>();

  constructor(options: { readonly watchRunsMax: number }) {
    this.#watchRunsMax = options.watchRunsMax;
  }

  /** Number of runs that wait. */
  get runs(): number {
    return this.#watchRuns() + [...this.#clients.values()].reduce((sum, { length }) => sum + length, 0);
  }

  get hasLoads(): boolean {
    return this.#jobs.some(({ kind }) => kind === 'load');
  }

  /** @throws {OperatingError} 'inference-queue-full' */
  push(request: RunRequest<M>): void {
    const { model, priority } = request;
    if (priority === 'watch') {
      if (this.#watchRuns() >= this.#watchRunsMax)
        throw inferenceFailure(
          'inference-queue-full',
          `${this.#watchRunsMax} runs wait for the inference host already`,
        );
      this.#jobs.push({ kind: 'run', model, requests: [request] });
      return;
    }
    const waiting = this.#clients.get(model) ?? [];
    const { queueMax } = model.use.serving;
    if (waiting.length >= queueMax)
      throw inferenceFailure('inference-queue-full', `${queueMax} requests wait for model '${model.label}' already`);
    waiting.push(request);
    this.#clients.set(model, waiting);
  }

  /**
   * Puts client requests that failed as a batch back in front, each to run alone. The limits counted them before.
   * Requests whose model was unloaded or quarantined in the meantime are rejected.
   */
  pushAlone(requests: readonly RunRequest<M>[]): void {
    for (const request of requests.toReversed()) {
      const waiting = this.#clients.get(request.model);
      if (waiting !== undefined) waiting.unshift({ ...request, joinKey: undefined });
      else request.reject(inferenceFailure('model-not-ready', `Model '${request.model.label}' is no longer loaded`));
    }
  }

  /** Adds a job; a load of the same model, or a ping, that waits already is not added twice. */
  add(job: HostJob<M>): void {
    const waits = this.#jobs.some(
      (other) =>
        other.kind === job.kind &&
        (job.kind === 'ping' || (job.kind === 'load' && other.kind === 'load' && other.model === job.model)),
    );
    if (!waits) this.#jobs.push(job);
  }

  /** Removes and returns the waiting runs of a model for which `isWanted` holds. */
  takeRuns(model: M, isWanted: (request: RunRequest<M>) => boolean): readonly RunRequest<M>[] {
    return this.#remove((request) => request.model === model && isWanted(request));
  }

  /** Makes the client requests of a model run alone: another version took over that may not take them as a batch. */
  separate(model: M): void {
    const waiting = this.#clients.get(model);
    waiting?.splice(0, waiting.length, ...waiting.map((request) => ({ ...request, joinKey: undefined })));
  }

  /** Removes and returns the next job that can be done now, or the time at which client requests are due as a batch. */
  take(nowMs: number, isReady: IsReady<M>): NextJob<M> {
    const index = this.#jobs.findIndex((job) => job.kind !== 'run' || isReady(job.model));
    const job = this.#jobs[index];
    if (job === undefined || job.kind === 'load') {
      const batch = this.#takeClients(nowMs, job?.queuedMs ?? Number.POSITIVE_INFINITY, isReady);
      if (batch !== undefined) return batch;
    }
    if (job !== undefined) this.#jobs.splice(index, 1);
    return job ?? this.#nextDue(isReady);
  }

  /** Drops the jobs of a host that is gone. Runs wait for the next host. */
  hostLost(): void {
    for (const job of this.#jobs.splice(0)) {
      if (job.kind === 'run') this.#jobs.push(job);
      if (job.kind === 'unload') job.done();
    }
  }

  /**
   * Rejects the requests that have waited for their model's deadline.
   *
   * @param failure Returns the error for a request.
   * @returns Monotonic time of the next deadline; undefined if nothing waits.
   */
  expire(nowMs: number, failure: (request: RunRequest<M>) => Error): number | undefined {
    for (const request of this.#remove((one) => deadlineMs(one) <= nowMs)) request.reject(failure(request));
    const waiting = [...this.#jobs.flatMap(requestsOf), ...[...this.#clients.values()].flat()];
    return waiting.length === 0 ? undefined : Math.min(...waiting.map(deadlineMs));
  }

  /** Rejects everything that waits for a model that goes, and drops its load. */
  reject(model: M, error: Error): void {
    for (const request of this.takeRuns(model, () => true)) request.reject(error);
    this.#clients.delete(model);
    const load = this.#jobs.findIndex((job) => job.kind === 'load' && job.model === model);
    if (load >= 0) this.#jobs.splice(load, 1);
  }

  rejectAll(error: Error): void {
    for (const request of this.#remove(() => true)) request.reject(error);
    this.hostLost();
  }

  #remove(isWanted: (request: RunRequest<M>) => boolean): readonly RunRequest<M>[] {
    const jobs = Map.groupBy(this.#jobs, (job) => requestsOf(job).some(isWanted));
    this.#jobs.splice(0, this.#jobs.length, ...(jobs.get(false) ?? []));
    const removed = (jobs.get(true) ?? []).flatMap(requestsOf);
    for (const waiting of this.#clients.values()) {
      const requests = Map.groupBy(waiting, isWanted);
      waiting.splice(0, waiting.length, ...(requests.get(false) ?? []));
      removed.push(...(requests.get(true) ?? []));
    }
    return removed;
  }

  /** Takes a batch of the model whose request is oldest, among requests older than `beforeMs`. */
  #takeClients(nowMs: number, beforeMs: number, isReady: IsReady<M>): Job<M> | undefined {
    let oldest: { readonly model: M; readonly waiting: RunRequest<M>[] } | undefined;
    let oldestMs = beforeMs;
    for (const [model, waiting] of this.#clients) {
      const queuedMs = waiting[0]?.queuedMs;
      if (queuedMs === undefined || queuedMs >= oldestMs || dueMs(model, waiting) > nowMs || !isReady(model)) continue;
      oldest = { model, waiting };
      oldestMs = queuedMs;
    }
    if (oldest === undefined) return undefined;
    const { model, waiting } = oldest;
    return { kind: 'run', model, requests: takeBatch(waiting, model.use.serving.batchMax) };
  }

  #nextDue(isReady: IsReady<M>): NextJob<M> {
    const times = [...this.#clients].flatMap(([model, waiting]) =>
      waiting.length === 0 || !isReady(model) ? [] : [dueMs(model, waiting)],
    );
    return times.length === 0 ? { kind: 'none' } : { kind: 'wait', untilMs: Math.min(...times) };
  }

  #watchRuns(): number {
    return this.#jobs.filter(({ kind }) => kind === 'run').length;
  }
}

function requestsOf<M extends QueuedModel>(job: Job<M>): readonly RunRequest<M>[] {
  return job.kind === 'run' ? job.requests : [];
}

function deadlineMs({ queuedMs, model }: RunRequest): number {
  return queuedMs + model.use.serving.deadlineMs;
}

/** Due immediately if the batch is full or cannot be one; else when the oldest request has waited for the delay. */
function dueMs(model: QueuedModel, waiting: readonly RunRequest[]): number {
  const first = waiting[0];
  if (first === undefined) return Number.POSITIVE_INFINITY;
  const { batchMax, delayMsMax } = model.use.serving;
  if (first.joinKey === undefined) return first.queuedMs;
  const rows = waiting.reduce((sum, request) => sum + (request.joinKey === first.joinKey ? request.rows : 0), 0);
  return rows >= batchMax ? first.queuedMs : first.queuedMs + delayMsMax;
}

/** Removes the oldest request, and later ones that can join it up to `rowsMax` rows, from `waiting`. */
function takeBatch<M extends QueuedModel>(waiting: RunRequest<M>[], rowsMax: number): readonly RunRequest<M>[] {
  const first = waiting[0];
  const batch: RunRequest<M>[] = [];
  const others: RunRequest<M>[] = [];
  let rows = 0;
  for (const request of waiting) {
    const joins =
      request === first ||
      (request.joinKey !== undefined && request.joinKey === first?.joinKey && rows + request.rows <= rowsMax);
    if (joins) rows += request.rows;
    (joins ? batch : others).push(request);
  }
  waiting.splice(0, waiting.length, ...others);
  return batch;
}
