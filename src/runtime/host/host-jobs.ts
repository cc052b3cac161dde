import type { ServedModel } from '../../contracts/inference.ts';
import type { Deps } from '../../platform/deps.ts';
import type { OperatingError } from '../../platform/errors.ts';
import type { HostProcess } from './host-process.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import type { LiveHost } from './live-host.ts';
import type { ModelSlot } from './model-slot.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import type { Job, RunRequest } from './run-queue.ts';
import { RunQueue } from './run-queue.ts';
import { fittingRequests, misfitOf, runRequests, timelyRequests, waitedBehindOthers } from './run-requests.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';

const PING_INTERVAL_MS = 1_000;
/** An idle host answers within a millisecond; a machine that is short of time gets three seconds. */
const PING_DEADLINE_MS = 3_000;
const UNLOAD_DEADLINE_MS = 10_000;

export type HostJobsOptions = {
  readonly name: string;
  /** Runs of watches that may wait. */
  readonly watchRunsMax: number;
  readonly live: LiveHost;
  readonly deps: Deps;
  /** Loads a model in the host; must not throw. */
  readonly load: (host: HostProcess, slot: ModelSlot) => Promise<void>;
  readonly onLoaded: () => void;
  /** A run took the host down, or showed that its device is lost. */
  readonly onCrash: (slot: ModelSlot, provider: string, reason: string) => void;
  readonly onPing: (residentBytes: number) => void;
};

/** A model as it is in a host. */
type Place = { readonly served: ServedModel; readonly host: HostProcess };

/** A run that only the version before takes, which is in the host that another has replaced. */
export type LeftRun = Place & { readonly request: RunRequest };

/**
 * What the live host is asked, one thing at a time: so the model at fault is known when it dies, and a run's deadline
 * counts the run alone and not the ones before it. What waits, waits in a bounded queue; where the host is lost, runs
 * wait for the next, as long as their deadline allows.
 */
export class HostJobs {
  readonly #options: HostJobsOptions;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #queue: RunQueue;
  readonly #timers: NamedTimers;
  readonly #stopTelling: () => void;
  /** Models that moved to a server, as long as their sessions are still in the host. */
  readonly #moved = new Map<ModelSlot, Place>();
  /** What the live host is at. */
  #current: { readonly kind: Job['kind']; readonly ended: Promise<void> } | undefined;
  /** When those that wait are looked at next; monotonic. */
  #expiryMs = Number.POSITIVE_INFINITY;

  constructor(options: HostJobsOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
    this.#queue = new RunQueue({ watchRunsMax: options.watchRunsMax });
    this.#timers = new NamedTimers(options.deps.clock);
    const { andon_inference_queued_runs: queued } = this.#metrics;
    this.#stopTelling = options.deps.metrics.beforeText(() => queued.set({ host: options.name }, this.#queue.runs));
  }

  /** Asks for a sign of life every second, in turn with the runs: a host that is busy cannot answer before. */
  startPings(): void {
    this.#timers.set('ping', PING_INTERVAL_MS, () => {
      this.startPings();
      this.#queue.ping();
      this.pump();
    });
  }

  /** @throws {OperatingError} 'inference-queue-full' */
  run(request: RunRequest): void {
    this.#queue.push(request);
    this.pump();
    this.#expireBy(request.queuedMs + request.slot.use.serving.deadlineMs);
  }

  load(slot: ModelSlot): void {
    this.#queue.load(slot, this.#deps.clock.monotonicMs());
    this.pump();
  }

  /** Resolves once the session is gone; a run of it that is under way ends before. */
  async unload(label: string): Promise<void> {
    const host = this.#options.live.process;
    if (host === undefined) return;
    const unloaded = new Promise<void>((resolve) => this.#queue.unload(label, host, resolve));
    this.pump();
    await unloaded;
  }

  /** Whether the host is busy. */
  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  /** Whether models are loaded in the live host, or wait for it. */
  get loads(): boolean {
    return this.#current?.kind === 'load' || this.#queue.hasLoads;
  }

  /** The model runs on a server now, which gets what waits; what it does not take, its session here runs before it goes. */
  async movedToServer(slot: ModelSlot, before: ServedModel): Promise<void> {
    const now = slot.ready(undefined);
    const isFit = (request: RunRequest) => now !== undefined && misfitOf(request, now) === undefined;
    slot.turnAway(this.#queue.takeRuns(slot, isFit), undefined);
    const host = this.#options.live.process;
    if (host !== undefined) this.#moved.set(slot, { served: before, host });
    await this.unload(slot.label);
    this.#moved.delete(slot);
  }

  /** Those that wait for a model, or for it to be loaded. */
  reject(slot: ModelSlot, error: Error): void {
    this.#queue.reject(slot, error);
  }

  /**
   * Another version of the model took over.
   *
   * @param before Undefined where none ran.
   * @returns What waited with inputs that it does not take, as windows of another length: the one before is to run it.
   */
  renewed(slot: ModelSlot, now: ServedModel, before: Place | undefined): readonly LeftRun[] {
    this.#queue.separate(slot);
    if (before === undefined) return [];
    const unfit = this.#queue.takeRuns(slot, (request) => misfitOf(request, now) !== undefined);
    return unfit.map((request) => ({ request, ...before }));
  }

  hostLost(): void {
    this.#queue.hostLost();
  }

  /**
   * Another host is live now, and asked from now on.
   *
   * @returns Resolves once the one before has ended what it is at.
   */
  hostReplaced(): Promise<void> {
    const ended = this.#current?.ended ?? Promise.resolve();
    this.#current = undefined;
    return ended;
  }

  /** In hosts that are at nothing else. */
  async runLeft(left: readonly LeftRun[]): Promise<void> {
    const { clock } = this.#deps;
    for (const { request, served, host } of left)
      for (const timely of timelyRequests([request], clock.monotonicMs()))
        await runRequests((run, ms) => host.call('run', run, ms), timely.slot, served, [timely], clock);
  }

  /** The live host must have been killed; what waits is told. */
  async stop(): Promise<void> {
    this.#timers.cancelAll();
    // A batch that failed last of all puts its requests back.
    await this.#current?.ended;
    this.#queue.rejectAll(inferenceFailure('model-not-ready', 'The inference host is stopping'));
    this.#stopTelling();
  }

  /** Takes the next job, where the host is free for one. */
  pump(): void {
    const host = this.#options.live.process;
    if (this.#current !== undefined || host?.lastAnswerMs === undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    // What waits for a model that has moved to a server is asked there.
    const isReady = (slot: ModelSlot): boolean => slot.remote !== undefined || slot.readyIn(host) !== undefined;
    const job = this.#queue.take(nowMs, isReady);
    if (job === undefined) {
      const dueMs = this.#queue.dueMs(isReady);
      if (dueMs !== undefined) this.#timers.set('batch', Math.max(0, dueMs - nowMs), () => this.pump());
      return;
    }
    const current = {
      kind: job.kind,
      ended: this.#do(host, job).finally(() => {
        // After a take-over it is the old host's last; the fresh one has been asked other things meanwhile.
        if (this.#current === current) this.#current = undefined;
        this.pump();
        if (job.kind === 'load') this.#options.onLoaded();
      }),
    };
    this.#current = current;
  }

  #do(host: HostProcess, job: Job): Promise<void> {
    switch (job.kind) {
      case 'run':
        return this.#doRun(host, job.slot, job.requests);
      case 'load':
        return this.#options.load(host, job.slot);
      case 'unload':
        // A session goes with its host; under its key another may run in the next one.
        if (job.host !== host) return Promise.resolve().then(job.done);
        return host.call('unload', { key: job.key }, UNLOAD_DEADLINE_MS).then(job.done, job.done);
      case 'ping':
        return this.#doPing(host);
    }
  }

  async #doRun(host: HostProcess, slot: ModelSlot, requests: readonly RunRequest[]): Promise<void> {
    const { name, live, onCrash } = this.#options;
    const { clock } = this.#deps;
    const moved = this.#moved.get(slot);
    const ready = slot.readyIn(host) ?? (moved?.host === host ? moved.served : undefined);
    if (ready === undefined) return slot.turnAway(requests, host);
    const timely = fittingRequests(timelyRequests(requests, clock.monotonicMs()), ready);
    if (timely.length === 0) return;
    const outcome = await runRequests((run, ms) => host.call('run', run, ms), slot, ready, timely, clock);
    const { provider } = ready.judgedBy;
    // What becomes of a host that was let go says nothing of the version that runs in the next, or on a server.
    const counts = !live.isLeaving(host) && slot.remote === undefined;
    switch (outcome.kind) {
      case 'ran':
        slot.noteRun(true);
        this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, outcome.tookMs / 1000);
        return;
      case 'lost':
        if (counts) onCrash(slot, provider, outcome.reason);
        return;
      case 'failed':
      case 'refused':
        this.#queue.pushAlone(outcome.alone);
        // What a visitor sends may be at fault; where watches judge, it is not to have the host replaced.
        if (outcome.kind === 'refused' || (timely[0]?.priority === 'client' && name === WATCH_HOST)) return;
        if (!counts || !slot.noteRun(false)) return;
        onCrash(slot, provider, `runs keep failing: ${outcome.reason}`);
        host.kill('provider');
    }
  }

  async #doPing(host: HostProcess): Promise<void> {
    try {
      const { residentBytes } = await host.call('ping', undefined, PING_DEADLINE_MS, 'hang');
      if (!this.#options.live.isLeaving(host)) this.#options.onPing(residentBytes);
    } catch (error) {
      // A lost host is dealt with where its end is seen.
      if (!isLoss(error)) throw error;
    }
  }

  /** Runs that cannot begin, since their host is away or busy, are told at their deadline. @param atMs Monotonic. */
  #expireBy(atMs: number): void {
    if (this.#expiryMs <= atMs) return;
    this.#expiryMs = atMs;
    this.#timers.set('expiry', atMs - this.#deps.clock.monotonicMs(), () => {
      this.#expiryMs = Number.POSITIVE_INFINITY;
      const nowMs = this.#deps.clock.monotonicMs();
      const nextMs = this.#queue.expire(nowMs, (request) => this.#waitedInVain(request, nowMs));
      if (nextMs !== undefined) this.#expireBy(nextMs);
    });
  }

  #waitedInVain({ slot, queuedMs }: RunRequest, nowMs: number): OperatingError {
    const host = this.#options.live.process;
    if (slot.readyIn(host) !== undefined) return waitedBehindOthers(nowMs - queuedMs);
    const { message } = slot.notReady(host);
    return inferenceFailure('model-not-ready', `Waited ${Math.round(nowMs - queuedMs)} ms. ${message}`);
  }
}
