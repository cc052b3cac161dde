import type { RunResult, ServedModel } from '../../contracts/inference.ts';
import type { JudgedListener, WindowJob } from '../../contracts/window-models.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import type { Deps } from '../../platform/deps.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { NamedTimers } from './named-timers.ts';
import {
  deadlineMs,
  dueMs,
  incompatibility,
  joinRequests,
  splitOutputs,
  takeBatch,
  waitedTooLong,
} from './run-requests.ts';
import { WindowLane } from './window-lane.ts';
import type { HostJob, QueuedModel, RunRequest, RunSession, WindowRunner, Worker } from './worker.ts';

export type SchedulerOptions<M extends QueuedModel> = {
  readonly worker: Worker<M>;
  /** Undefined if no window is judged here. */
  readonly windows?: WindowRunner<M> & { readonly onJudged: JudgedListener };
  /** Runs of watches that may wait. */
  readonly watchRunsMax: number;
  /** A load has ended. */
  readonly onLoaded?: () => void;
  readonly deps: Pick<Deps, 'clock' | 'metrics'>;
};

type RunJob<M extends QueuedModel> = {
  readonly kind: 'run';
  readonly model: M;
  readonly requests: readonly RunRequest<M>[];
};

type Job<M extends QueuedModel> = RunJob<M> | HostJob<M>;

type NextJob<M extends QueuedModel> =
  | Job<M>
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'none' };

/**
 * All work of one host or server, from a due window to the worker that runs it.
 *
 * - Windows collect in one lane per model. A closed lane is one run of a watch; the lane closes again when it has ended.
 *   So a model has one run that no window supersedes, and one batch that collects, while other models occupy the host.
 * - Runs of watches, loads and pings keep their order and go before all client requests. Only a load lets client
 *   requests pass that are older than it.
 * - Client requests wait by model and can run as one batch. The model with the oldest request goes first.
 * - A run whose model is not ready delays no other run. Each run is rejected at the deadline of its model.
 * - At most `watchRunsMax` runs of watches wait, and `queueMax` client requests per model. More are refused.
 */
export class Scheduler<M extends QueuedModel = QueuedModel> {
  readonly #options: SchedulerOptions<M>;
  readonly #clock;
  readonly #timers: NamedTimers;
  readonly #lanes = new Map<M, WindowLane>();
  readonly #jobs: Job<M>[] = [];
  readonly #clients = new Map<M, RunRequest<M>[]>();
  readonly #underWay = new Set<{ readonly kind: Job<M>['kind']; readonly ended: Promise<void> }>();
  #turn: NodeJS.Immediate | undefined;
  /** Monotonic time at which deadlines are checked next. */
  #expiryMs = Number.POSITIVE_INFINITY;

  constructor(options: SchedulerOptions<M>) {
    this.#options = options;
    this.#clock = options.deps.clock;
    this.#timers = new NamedTimers(options.deps.clock);
  }

  /** Number of runs that wait. */
  get runs(): number {
    return this.#watchRuns() + [...this.#clients.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** 'loading' also while a load waits. */
  get activity(): 'idle' | 'busy' | 'loading' {
    if ([...this.#underWay, ...this.#jobs].some(({ kind }) => kind === 'load')) return 'loading';
    return this.#underWay.size === 0 ? 'idle' : 'busy';
  }

  /** Adds a due window, see `WindowModels.judge`. */
  judge(model: M, job: WindowJob): void {
    let lane = this.#lanes.get(model);
    if (lane === undefined) this.#lanes.set(model, (lane = this.#newLane(model)));
    lane.add(job);
    this.#turn ??= setImmediate(() => this.#endTurn());
  }

  /** Resolves when every window is judged. */
  async settle(): Promise<void> {
    this.#endTurn();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.settle()));
  }

  /** Runs a model when it is its turn. @throws {OperatingError} 'inference-queue-full', and the errors of the worker. */
  async run(order: Omit<RunRequest<M>, 'rows' | 'joinKey' | 'resolve' | 'reject'>): Promise<RunResult> {
    const { model, inputs, priority } = order;
    const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
    const request = { ...order, ...model.use.rowsOf(inputs, priority), resolve, reject };
    this.#push(request);
    this.pump();
    this.#expireBy(deadlineMs(request));
    return promise;
  }

  /** Adds a job; a load of the same model, or a ping, that waits already is not added twice. */
  add(added: HostJob<M> | { readonly kind: 'load'; readonly model: M }): void {
    const job = added.kind === 'load' ? { ...added, queuedMs: this.#clock.monotonicMs() } : added;
    const waits = this.#jobs.some(
      (other) =>
        other.kind === job.kind &&
        (job.kind === 'ping' || (job.kind === 'load' && other.kind === 'load' && other.model === job.model)),
    );
    if (!waits) this.#jobs.push(job);
    this.pump();
  }

  /**
   * Removes and returns the waiting runs of a model for which `isWanted` holds. The others run alone from now on: another
   * version took over that may not take them as a batch.
   */
  takeRuns(model: M, isWanted: (request: RunRequest<M>) => boolean): readonly RunRequest<M>[] {
    const waiting = this.#clients.get(model);
    waiting?.splice(0, waiting.length, ...waiting.map((request) => ({ ...request, joinKey: undefined })));
    return this.#remove((request) => request.model === model && isWanted(request));
  }

  /** Starts the next jobs if the worker is free. */
  pump(): void {
    const { worker } = this.#options;
    while (this.#underWay.size < worker.jobsMax()) {
      const nowMs = this.#clock.monotonicMs();
      const job = this.#take(nowMs);
      if (job.kind === 'none') return;
      if (job.kind === 'wait') return this.#timers.set('batch', Math.max(0, job.untilMs - nowMs), () => this.pump());
      const current = {
        kind: job.kind,
        ended: this.#do(job).finally(() => {
          this.#underWay.delete(current);
          this.pump();
          if (job.kind === 'load') this.#options.onLoaded?.();
        }),
      };
      this.#underWay.add(current);
    }
  }

  /** Drops the jobs of a host that is gone. Runs wait for the next host. */
  hostLost(): void {
    for (const job of this.#jobs.splice(0)) {
      if (job.kind === 'run') this.#jobs.push(job);
      if (job.kind === 'unload') job.done();
    }
  }

  /** Another host gets all jobs from now on. @returns Resolves when the jobs that the replaced one has begun have ended. */
  async hostReplaced(): Promise<void> {
    const ended = [...this.#underWay].map((job) => job.ended);
    this.#underWay.clear();
    await Promise.all(ended);
  }

  /** Rejects everything that waits for a model that goes, and drops its load. */
  reject(model: M, error: Error): void {
    for (const request of this.takeRuns(model, () => true)) request.reject(error);
    this.#clients.delete(model);
    const load = this.#jobs.findIndex((job) => job.kind === 'load' && job.model === model);
    if (load >= 0) this.#jobs.splice(load, 1);
  }

  /** The worker must do no more jobs. Rejects what waits. `settle` then ends the windows without a score. */
  async stop(error: Error): Promise<void> {
    this.#timers.cancelAll();
    // A batch that failed as the last job puts its requests back.
    await this.hostReplaced();
    for (const request of this.#remove(() => true)) request.reject(error);
    this.hostLost();
  }

  async #do(job: Job<M>): Promise<void> {
    const { worker } = this.#options;
    if (job.kind !== 'run') return worker.do(job);
    const session = worker.session(job.model);
    if (session === undefined) worker.passOn(job.model, job.requests);
    else this.#pushAlone(await runRequests(session, job.requests, this.#clock));
  }

  #newLane(model: M): WindowLane {
    const { windows, deps } = this.#options;
    if (windows === undefined) throw inferenceFailure('model-not-ready', `Model '${model.label}' judges no windows`);
    return new WindowLane({
      label: model.label,
      ready: () => windows.ready(model),
      status: () => windows.statusOf(model),
      run: (inputs) => windows.run(model, inputs),
      onJudged: windows.onJudged,
      metrics: deps.metrics,
    });
  }

  /** Windows of the next turn supersede those that could not be closed. */
  #endTurn(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    for (const lane of this.#lanes.values()) lane.endTurn();
  }

  /** @throws {OperatingError} 'inference-queue-full' */
  #push(request: RunRequest<M>): void {
    const { model, priority } = request;
    const { watchRunsMax } = this.#options;
    if (priority === 'watch') {
      if (this.#watchRuns() >= watchRunsMax)
        throw inferenceFailure('inference-queue-full', `${watchRunsMax} runs wait for the inference host already`);
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
  #pushAlone(requests: readonly RunRequest<M>[]): void {
    for (const request of requests.toReversed()) {
      const waiting = this.#clients.get(request.model);
      if (waiting !== undefined) waiting.unshift({ ...request, joinKey: undefined });
      else request.reject(inferenceFailure('model-not-ready', `Model '${request.model.label}' is no longer loaded`));
    }
  }

  /** Removes and returns the next job that can be done now, or the time at which client requests are due as a batch. */
  #take(nowMs: number): NextJob<M> {
    const { worker } = this.#options;
    const index = this.#jobs.findIndex((job) => job.kind !== 'run' || worker.isReady(job.model));
    const job = this.#jobs[index];
    if (job === undefined || job.kind === 'load') {
      const batch = this.#takeClients(nowMs, job?.queuedMs ?? Number.POSITIVE_INFINITY);
      if (batch !== undefined) return batch;
    }
    if (job !== undefined) this.#jobs.splice(index, 1);
    return job ?? this.#nextDue();
  }

  /** Takes a batch of the model whose request is oldest, among requests older than `beforeMs`. */
  #takeClients(nowMs: number, beforeMs: number): RunJob<M> | undefined {
    let oldest: { readonly model: M; readonly waiting: RunRequest<M>[] } | undefined;
    let oldestMs = beforeMs;
    for (const [model, waiting] of this.#clients) {
      const queuedMs = waiting[0]?.queuedMs;
      if (queuedMs === undefined || queuedMs >= oldestMs) continue;
      if (dueMs(model, waiting) > nowMs || !this.#options.worker.isReady(model)) continue;
      oldest = { model, waiting };
      oldestMs = queuedMs;
    }
    if (oldest === undefined) return undefined;
    const { model, waiting } = oldest;
    return { kind: 'run', model, requests: takeBatch(waiting, model.use.serving.batchMax) };
  }

  #nextDue(): NextJob<M> {
    const times = [...this.#clients].flatMap(([model, waiting]) =>
      waiting.length === 0 || !this.#options.worker.isReady(model) ? [] : [dueMs(model, waiting)],
    );
    return times.length === 0 ? { kind: 'none' } : { kind: 'wait', untilMs: Math.min(...times) };
  }

  /** Rejects runs at their deadline that cannot begin because their worker is away or busy. @param atMs Monotonic. */
  #expireBy(atMs: number): void {
    if (this.#expiryMs <= atMs) return;
    this.#expiryMs = atMs;
    this.#timers.set('expiry', atMs - this.#clock.monotonicMs(), () => {
      this.#expiryMs = Number.POSITIVE_INFINITY;
      const nowMs = this.#clock.monotonicMs();
      for (const request of this.#remove((one) => deadlineMs(one) <= nowMs)) request.reject(this.#late(request, nowMs));
      const waiting = [...this.#jobs.flatMap(requestsOf), ...[...this.#clients.values()].flat()];
      if (waiting.length > 0) this.#expireBy(Math.min(...waiting.map(deadlineMs)));
    });
  }

  #late(request: RunRequest<M>, nowMs: number): OperatingError {
    const { worker } = this.#options;
    if (worker.isReady(request.model)) return waitedTooLong(request, nowMs);
    const { message } = worker.notReady(request.model);
    return inferenceFailure('model-not-ready', `Waited ${Math.round(nowMs - request.queuedMs)} ms. ${message}`);
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

  #watchRuns(): number {
    return this.#jobs.filter(({ kind }) => kind === 'run').length;
  }
}

function requestsOf<M extends QueuedModel>(job: Job<M>): readonly RunRequest<M>[] {
  return job.kind === 'run' ? job.requests : [];
}

/**
 * Runs requests of one model as one batch and answers each; never throws.
 *
 * @returns Requests that failed as a batch and are not answered: the values of one must not fail the others.
 */
export async function runRequests<M extends QueuedModel>(
  { served, run, ended }: RunSession,
  waiting: readonly RunRequest<M>[],
  clock: Clock,
): Promise<readonly RunRequest<M>[]> {
  const startedMs = clock.monotonicMs();
  const requests = runnableRequests(waiting, served, startedMs);
  const [first] = requests;
  if (first === undefined) return [];
  const { label, use } = first.model;
  try {
    const params = { key: label, inputs: joinRequests(requests), finite: first.priority === 'watch' };
    const { outputs, runMs } = await run(params, use.serving.deadlineMs);
    const parts = splitOutputs(outputs, requests);
    use.noteExecuted(requests, startedMs, runMs);
    for (const [index, { resolve }] of requests.entries())
      resolve({ outputs: parts[index] ?? {}, judgedBy: served.judgedBy, manifest: served.manifest, runMs });
    ended({ kind: 'ran', tookMs: clock.monotonicMs() - startedMs }, first.priority);
    return [];
  } catch (error) {
    const isOfOne = error instanceof OperatingError && error.disposition === 'reject' && requests.length > 1;
    if (!isOfOne) for (const { reject } of requests) reject(error);
    const kind = isLoss(error) ? 'lost' : errorCode(error) === 'model-run-failed' ? 'failed' : 'refused';
    ended({ kind, reason: errorMessage(error) }, first.priority);
    return isOfOne ? requests : [];
  }
}

/** Rejects the requests that waited too long, or that do not fit the version that is about to run; returns the others. */
function runnableRequests<M extends QueuedModel>(
  requests: readonly RunRequest<M>[],
  served: ServedModel,
  nowMs: number,
): readonly RunRequest<M>[] {
  return requests.filter((request) => {
    const problem = deadlineMs(request) < nowMs ? waitedTooLong(request, nowMs) : incompatibility(request, served);
    if (problem !== undefined) request.reject(problem);
    return problem === undefined;
  });
}
