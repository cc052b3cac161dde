import type { RunPriority, RunResult, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { ModelSlot } from './model-slot.ts';
import type { HostProcess } from './host-process.ts';

export type RunRequest = {
  readonly slot: ModelSlot;
  readonly priority: RunPriority;
  readonly inputs: Tensors;
  /** That the inputs were checked against. */
  readonly specs: readonly TensorSpec[];
  /** 1 where nobody knows that there are rows. */
  readonly rows: number;
  /** Requests of the same key can be joined; undefined where this one must go alone. */
  readonly joinKey: string | undefined;
  /** Monotonic. */
  readonly queuedMs: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: unknown) => void;
};

export type Job =
  /** Of one model; several are visitors' requests that go as one batch. */
  | { readonly kind: 'run'; readonly slot: ModelSlot; readonly requests: readonly RunRequest[] }
  | { readonly kind: 'load'; readonly slot: ModelSlot; readonly queuedMs: number }
  /** `done` is called whatever comes of it: a session that went with its host is gone as well. */
  | { readonly kind: 'unload'; readonly key: string; readonly host: HostProcess; readonly done: () => void }
  | { readonly kind: 'ping' };

type IsReady = (slot: ModelSlot) => boolean;

/**
 * What waits for one host. Watches' runs, loads and pings keep their order and go before every visitor, but for a load,
 * which lets go first whoever asked before it; visitors' requests wait by model, so that those of one model can go
 * together, and the model whose request is oldest goes first. A run whose model is not ready holds up no other.
 *
 * Bounded: `watchRunsMax` runs of watches, and of each model as many visitors as its `queueMax`; one more is refused.
 */
export class RunQueue {
  readonly #watchRunsMax: number;
  readonly #jobs: Job[] = [];
  readonly #clientRuns = new Map<ModelSlot, RunRequest[]>();

  constructor(options: { readonly watchRunsMax: number }) {
    this.#watchRunsMax = options.watchRunsMax;
  }

  /** Runs that wait. */
  get runs(): number {
    return this.#watchRuns() + [...this.#clientRuns.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** @throws {OperatingError} 'inference-queue-full' */
  push(request: RunRequest): void {
    const { slot, priority } = request;
    if (priority === 'watch') {
      if (this.#watchRuns() >= this.#watchRunsMax)
        throw inferenceFailure(
          'inference-queue-full',
          `${this.#watchRunsMax} runs wait for the inference host already`,
        );
      this.#jobs.push({ kind: 'run', slot, requests: [request] });
      return;
    }
    const waiting = this.#clientRuns.get(slot) ?? [];
    const { queueMax } = slot.use.serving;
    if (waiting.length >= queueMax)
      throw inferenceFailure('inference-queue-full', `${queueMax} requests wait for model '${slot.label}' already`);
    waiting.push(request);
    this.#clientRuns.set(slot, waiting);
  }

  /**
   * Puts requests of visitors back in front that failed as a batch, each to go alone; the bound counted them before.
   * Where their model was unloaded or set aside meanwhile they are told.
   */
  pushAlone(requests: readonly RunRequest[]): void {
    for (const request of requests.toReversed()) {
      const waiting = this.#clientRuns.get(request.slot);
      if (waiting !== undefined) waiting.unshift({ ...request, joinKey: undefined });
      else request.reject(inferenceFailure('model-not-ready', `Model '${request.slot.label}' is no longer loaded`));
    }
  }

  /** Takes out what waits for a model, of watches and visitors, as far as it is wanted. */
  takeRuns(slot: ModelSlot, isWanted: (request: RunRequest) => boolean): readonly RunRequest[] {
    const taken: RunRequest[] = [];
    const stays = (request: RunRequest): boolean => {
      const isTaken = request.slot === slot && isWanted(request);
      if (isTaken) taken.push(request);
      return !isTaken;
    };
    for (const job of this.#jobs.splice(0)) if (job.kind !== 'run' || job.requests.every(stays)) this.#jobs.push(job);
    const waiting = this.#clientRuns.get(slot);
    waiting?.splice(0, waiting.length, ...waiting.filter(stays));
    return taken;
  }

  /** Another version took over, of which nobody knows yet whether it takes together what the one before did. */
  separate(slot: ModelSlot): void {
    const waiting = this.#clientRuns.get(slot);
    waiting?.splice(0, waiting.length, ...waiting.map((request) => ({ ...request, joinKey: undefined })));
  }

  load(slot: ModelSlot, nowMs: number): void {
    if (this.#jobs.some((job) => job.kind === 'load' && job.slot === slot)) return;
    this.#jobs.push({ kind: 'load', slot, queuedMs: nowMs });
  }

  get hasLoads(): boolean {
    return this.#jobs.some(({ kind }) => kind === 'load');
  }

  /** In its turn: a run of the session that is under way ends first. */
  unload(key: string, host: HostProcess, done: () => void): void {
    this.#jobs.push({ kind: 'unload', key, host, done });
  }

  ping(): void {
    if (!this.#jobs.some(({ kind }) => kind === 'ping')) this.#jobs.push({ kind: 'ping' });
  }

  /** Takes what is to be done now; undefined where nothing can be, or only visitors wait who wait for company. */
  take(nowMs: number, isReady: IsReady): Job | undefined {
    const index = this.#jobs.findIndex((job) => job.kind !== 'run' || isReady(job.slot));
    const job = this.#jobs[index];
    if (job === undefined || job.kind === 'load') {
      const clients = this.#takeClients(nowMs, job?.queuedMs ?? Number.POSITIVE_INFINITY, isReady);
      if (clients !== undefined) return clients;
    }
    if (job !== undefined) this.#jobs.splice(index, 1);
    return job;
  }

  /** Monotonic time at which `take` has something again if nothing new comes; undefined where nothing waits. */
  dueMs(isReady: IsReady): number | undefined {
    const times = [...this.#clientRuns].flatMap(([slot, waiting]) =>
      waiting.length === 0 || !isReady(slot) ? [] : [dueMs(slot, waiting)],
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The host is gone, and with it whatever was to be done in it but runs: those wait for the next. */
  hostLost(): void {
    for (const job of this.#jobs.splice(0)) {
      if (job.kind === 'run') this.#jobs.push(job);
      if (job.kind === 'unload') job.done();
    }
  }

  /**
   * Tells those that have waited as long as they may.
   *
   * @param failure What a request fails with.
   * @returns Monotonic time at which the next has; undefined where none waits.
   */
  expire(nowMs: number, failure: (request: RunRequest) => Error): number | undefined {
    let nextMs = Number.POSITIVE_INFINITY;
    const isWaiting = (request: RunRequest): boolean => {
      const untilMs = request.queuedMs + request.slot.use.serving.deadlineMs;
      if (untilMs <= nowMs) request.reject(failure(request));
      else nextMs = Math.min(nextMs, untilMs);
      return untilMs > nowMs;
    };
    for (const job of this.#jobs.splice(0))
      if (job.kind !== 'run' || job.requests.filter(isWaiting).length > 0) this.#jobs.push(job);
    for (const waiting of this.#clientRuns.values()) waiting.splice(0, waiting.length, ...waiting.filter(isWaiting));
    return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs;
  }

  /** Everything that waits for a model that goes. */
  reject(slot: ModelSlot, error: Error): void {
    for (const { reject } of this.#clientRuns.get(slot) ?? []) reject(error);
    this.#clientRuns.delete(slot);
    const others = this.#jobs.filter((job) => !('slot' in job) || job.slot !== slot);
    for (const job of this.#jobs.splice(0, this.#jobs.length, ...others))
      if (job.kind === 'run' && job.slot === slot) for (const { reject } of job.requests) reject(error);
  }

  rejectAll(error: Error): void {
    for (const job of this.#jobs.splice(0)) {
      if (job.kind === 'run') for (const { reject } of job.requests) reject(error);
      if (job.kind === 'unload') job.done();
    }
    for (const waiting of this.#clientRuns.values()) for (const { reject } of waiting.splice(0)) reject(error);
  }

  /** The model's whose request is oldest, of those who asked before `beforeMs`. */
  #takeClients(nowMs: number, beforeMs: number, isReady: IsReady): Job | undefined {
    let oldest: { readonly slot: ModelSlot; readonly waiting: RunRequest[] } | undefined;
    let oldestMs = beforeMs;
    for (const [slot, waiting] of this.#clientRuns) {
      const queuedMs = waiting[0]?.queuedMs;
      if (queuedMs === undefined || queuedMs >= oldestMs || dueMs(slot, waiting) > nowMs || !isReady(slot)) continue;
      oldest = { slot, waiting };
      oldestMs = queuedMs;
    }
    if (oldest === undefined) return undefined;
    return { kind: 'run', slot: oldest.slot, requests: takeBatch(oldest.waiting, oldest.slot.use.serving.batchMax) };
  }

  #watchRuns(): number {
    return this.#jobs.reduce((count, { kind }) => count + (kind === 'run' ? 1 : 0), 0);
  }
}

/** At once where the batch is full or there is no joining; else when the oldest has waited long enough. */
function dueMs(slot: ModelSlot, waiting: readonly RunRequest[]): number {
  const first = waiting[0];
  if (first === undefined) return Number.POSITIVE_INFINITY;
  const { batchMax, delayMsMax } = slot.use.serving;
  if (first.joinKey === undefined) return first.queuedMs;
  const rows = waiting.reduce((sum, request) => sum + (request.joinKey === first.joinKey ? request.rows : 0), 0);
  return rows >= batchMax ? first.queuedMs : first.queuedMs + delayMsMax;
}

/** The oldest, and those after it that can be joined to it up to `rowsMax` rows; they leave `waiting`. */
function takeBatch(waiting: RunRequest[], rowsMax: number): readonly RunRequest[] {
  const first = waiting[0];
  const batch: RunRequest[] = [];
  const others: RunRequest[] = [];
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
