import type { RunPriority, ServedModel } from '../../contracts/inference.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';
import type { Deps } from '../../platform/deps.ts';
import type { OperatingError } from '../../platform/errors.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import { type Job, RunQueue, type RunRequest } from '../queue/run-queue.ts';
import {
  incompatibility,
  runnableRequests,
  type RunOutcome,
  runRequests,
  waitedTooLong,
} from '../queue/run-requests.ts';
import type { HostProcess } from './host-process.ts';
import type { LiveHost } from './live-host.ts';
import { type ModelSlot, readyIn, serverOf, type SlotVersion } from './model-slot.ts';
import { notReady } from './model-status.ts';

const PING_INTERVAL_MS = 1_000;
/** An idle host answers within 1 ms; on a busy machine it gets 3 s. */
const PING_DEADLINE_MS = 3_000;
const UNLOAD_DEADLINE_MS = 10_000;

type SlotRequest = RunRequest<ModelSlot>;

export type HostJobsOptions = {
  readonly name: string;
  /** Runs of watches that may wait. */
  readonly watchRunsMax: number;
  readonly live: LiveHost;
  readonly deps: Deps;
  /** Loads a model in the host; must not throw. */
  readonly load: (host: HostProcess, slot: ModelSlot) => Promise<void>;
  readonly onLoaded: () => void;
  readonly onPing: (residentBytes: number) => void;
};

/**
 * Sends work to the live host, one job at a time: so the model at fault is known if the host ends, and a run's deadline
 * counts only the run itself. What waits, waits in a bounded queue. If the host is lost, runs wait for the next one
 * until their deadline.
 */
export class HostJobs {
  readonly #options: HostJobsOptions;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #queue: RunQueue<ModelSlot>;
  readonly #timers: NamedTimers;
  readonly #stopMetrics: () => void;
  /** Versions replaced by one on a server, while their sessions are still in the host. */
  readonly #unloading = new Map<ModelSlot, SlotVersion>();
  /** Runs that only the replaced version takes, which is in the replaced host. */
  #leftRuns: { readonly request: SlotRequest; readonly before: SlotVersion }[] = [];
  #current: { readonly kind: Job<ModelSlot>['kind']; readonly ended: Promise<void> } | undefined;
  /** Monotonic time at which deadlines are checked next. */
  #expiryMs = Number.POSITIVE_INFINITY;

  constructor(options: HostJobsOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
    this.#queue = new RunQueue({ watchRunsMax: options.watchRunsMax });
    this.#timers = new NamedTimers(options.deps.clock);
    const { andon_inference_queued_runs: queued } = this.#metrics;
    this.#stopMetrics = options.deps.metrics.beforeText(() => queued.set({ host: options.name }, this.#queue.runs));
  }

  /** 'loading' also while a load waits. */
  get activity(): 'idle' | 'busy' | 'loading' {
    if (this.#current?.kind === 'load' || this.#queue.hasLoads) return 'loading';
    return this.#current === undefined ? 'idle' : 'busy';
  }

  /** Sends a ping every second, in turn with the runs: a busy host cannot answer before. */
  startPings(): void {
    this.#timers.set('ping', PING_INTERVAL_MS, () => {
      this.startPings();
      this.#queue.add({ kind: 'ping' });
      this.pump();
    });
  }

  /** @throws {OperatingError} 'inference-queue-full' */
  run(request: SlotRequest): void {
    this.#queue.push(request);
    this.pump();
    this.#expireBy(request.queuedMs + request.model.use.serving.deadlineMs);
  }

  load(slot: ModelSlot): void {
    this.#queue.add({ kind: 'load', model: slot, queuedMs: this.#deps.clock.monotonicMs() });
    this.pump();
  }

  /** Resolves when the session is gone. A run of it that is under way ends before. */
  async unload(label: string): Promise<void> {
    const host = this.#options.live.process;
    if (host === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.add({ kind: 'unload', key: label, host, done: resolve });
    this.pump();
    await promise;
  }

  /** The model runs on a server now, which gets the runs that wait. Its session here runs what the server does not take. */
  async unloadMoved(slot: ModelSlot, before: SlotVersion): Promise<void> {
    const server = serverOf(slot);
    const served = server?.ready;
    const fits = (request: SlotRequest) => served !== undefined && incompatibility(request, served) === undefined;
    this.#passOn(this.#queue.takeRuns(slot, fits), slot, undefined);
    if (before.host !== undefined) this.#unloading.set(slot, before);
    await this.unload(slot.label);
    this.#unloading.delete(slot);
  }

  /** Rejects the runs that wait for a model, and drops its load. */
  reject(slot: ModelSlot, error: Error): void {
    this.#queue.reject(slot, error);
  }

  hostLost(): void {
    this.#queue.hostLost();
  }

  /** Another version took over. Runs that fit only the version `before` are kept for it, see `finishReplaced`. */
  versionReplaced(slot: ModelSlot, before: SlotVersion | undefined, now: ServedModel): void {
    this.#queue.separate(slot);
    if (before === undefined) return;
    const left = this.#queue.takeRuns(slot, (request) => incompatibility(request, now) !== undefined);
    this.#leftRuns.push(...left.map((request) => ({ request, before })));
  }

  /**
   * Another host is live: it gets all jobs from now on.
   *
   * @returns Ends the work in the replaced host: its current job, and the runs that only its versions take.
   */
  hostReplaced(): () => Promise<void> {
    const ended = this.#current?.ended;
    this.#current = undefined;
    return async () => {
      await ended;
      const { clock } = this.#deps;
      for (const { request, before } of this.#leftRuns.splice(0))
        for (const timely of runnableRequests([request], before.served, clock.monotonicMs()))
          await this.#runIn(before.host, request.model, before.served, [timely]);
    };
  }

  /** The live host must have been killed. Rejects what waits. */
  async stop(): Promise<void> {
    this.#timers.cancelAll();
    // A batch that failed as the last job puts its requests back.
    await this.#current?.ended;
    this.#queue.rejectAll(inferenceFailure('model-not-ready', 'The inference host is stopping'));
    this.#stopMetrics();
  }

  /** Starts the next job if the host is free. */
  pump(): void {
    const host = this.#options.live.process;
    if (this.#current !== undefined || host?.lastAnswerMs === undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    // Runs of a model that has moved to a server are passed on to it.
    const job = this.#queue.take(nowMs, (slot) => serverOf(slot) !== undefined || readyIn(slot, host) !== undefined);
    if (job.kind === 'none') return;
    if (job.kind === 'wait') return this.#timers.set('batch', Math.max(0, job.untilMs - nowMs), () => this.pump());
    const current = {
      kind: job.kind,
      ended: this.#do(host, job).finally(() => {
        // After a take-over this is the last job of the replaced host; the fresh one has jobs of its own.
        if (this.#current === current) this.#current = undefined;
        this.pump();
        if (job.kind === 'load') this.#options.onLoaded();
      }),
    };
    this.#current = current;
  }

  #do(host: HostProcess, job: Job<ModelSlot>): Promise<void> {
    switch (job.kind) {
      case 'run':
        return this.#doRun(host, job.model, job.requests);
      case 'load':
        return this.#options.load(host, job.model);
      case 'unload':
        // A session goes with its host. The next host may have another session under the same key.
        if (job.host !== host) return Promise.resolve().then(job.done);
        return host.call('unload', { key: job.key }, UNLOAD_DEADLINE_MS).then(job.done, job.done);
      case 'ping':
        return this.#doPing(host);
    }
  }

  async #doRun(host: HostProcess, slot: ModelSlot, requests: readonly SlotRequest[]): Promise<void> {
    const unloading = this.#unloading.get(slot);
    const served = readyIn(slot, host) ?? (unloading?.host === host ? unloading.served : undefined);
    if (served === undefined) return this.#passOn(requests, slot, host);
    const runnable = runnableRequests(requests, served, this.#deps.clock.monotonicMs());
    const [first] = runnable;
    if (first === undefined) return;
    const outcome = await this.#runIn(host, slot, served, runnable);
    // The end of a replaced host says nothing about the version in the next host, or on a server.
    const counts = !this.#options.live.isLeaving(host) && serverOf(slot) === undefined;
    this.#note(outcome, { host, slot, provider: served.judgedBy.provider, priority: first.priority, counts });
  }

  #note(
    outcome: RunOutcome<ModelSlot>,
    of: {
      readonly host: HostProcess;
      readonly slot: ModelSlot;
      readonly provider: string;
      readonly priority: RunPriority;
      readonly counts: boolean;
    },
  ): void {
    const { host, slot, provider, priority, counts } = of;
    switch (outcome.kind) {
      case 'ran':
        slot.apply({ kind: 'run-ended', succeeded: true });
        this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, outcome.tookMs / 1000);
        return;
      case 'lost':
        if (counts) slot.noteCrash(provider, outcome.reason);
        return;
      case 'refused':
        return this.#queue.pushAlone(outcome.alone);
      case 'failed':
        this.#queue.pushAlone(outcome.alone);
        // The values of a client may be at fault; they must not replace the host of the watches.
        if (!counts || (priority === 'client' && this.#options.name === WATCH_HOST)) return;
        if (slot.apply({ kind: 'run-ended', succeeded: false }).length === 0) return;
        slot.noteCrash(provider, `runs keep failing: ${outcome.reason}`);
        host.kill('provider');
    }
  }

  async #runIn(
    host: HostProcess | undefined,
    slot: ModelSlot,
    served: ServedModel,
    requests: readonly SlotRequest[],
  ): Promise<RunOutcome<ModelSlot>> {
    const run: Parameters<typeof runRequests>[0] = async (params, timeoutMs) => {
      if (host === undefined) throw notReady(slot, host);
      return host.call('run', params, timeoutMs);
    };
    return runRequests(run, slot, served, requests, this.#deps.clock);
  }

  /** Sends runs of a model that left this host to its server; without one they are rejected. */
  #passOn(requests: readonly SlotRequest[], slot: ModelSlot, host: HostProcess | undefined): void {
    const server = serverOf(slot);
    for (const { inputs, priority, resolve, reject } of requests)
      if (server === undefined) reject(notReady(slot, host));
      else void server.run(inputs, priority).then(resolve, reject);
  }

  async #doPing(host: HostProcess): Promise<void> {
    try {
      const { residentBytes } = await host.call('ping', undefined, PING_DEADLINE_MS, 'hang');
      if (!this.#options.live.isLeaving(host)) this.#options.onPing(residentBytes);
    } catch (error) {
      // The end of a host is handled where it is detected.
      if (!isLoss(error)) throw error;
    }
  }

  /** Rejects runs at their deadline that cannot begin because their host is away or busy. @param atMs Monotonic. */
  #expireBy(atMs: number): void {
    if (this.#expiryMs <= atMs) return;
    this.#expiryMs = atMs;
    this.#timers.set('expiry', atMs - this.#deps.clock.monotonicMs(), () => {
      this.#expiryMs = Number.POSITIVE_INFINITY;
      const nowMs = this.#deps.clock.monotonicMs();
      const nextMs = this.#queue.expire(nowMs, (request) => this.#expired(request, nowMs));
      if (nextMs !== undefined) this.#expireBy(nextMs);
    });
  }

  #expired({ model: slot, queuedMs }: SlotRequest, nowMs: number): OperatingError {
    const host = this.#options.live.process;
    if (readyIn(slot, host) !== undefined) return waitedTooLong(nowMs - queuedMs);
    const { message } = notReady(slot, host);
    return inferenceFailure('model-not-ready', `Waited ${Math.round(nowMs - queuedMs)} ms. ${message}`);
  }
}
