import type { RunPriority, RunResult, ServedModel, Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { JudgedListener } from '../../contracts/window-models.ts';
import { localVersion } from '../../domain/model/lifecycle.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';
import { windowFeed } from '../../models/checks/window-scores.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';
import type { Deps } from '../../platform/deps.ts';
import { invariant } from '../../platform/errors.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { incompatibility } from '../queue/run-requests.ts';
import { runRequests, Scheduler } from '../queue/scheduler.ts';
import type { HostJob, RunOutcome, RunRequest, RunSession } from '../queue/worker.ts';
import type { HostProcess } from './host-process.ts';
import type { LiveHost } from './live-host.ts';
import { type ModelSlot, readyIn, serverOf, type SlotVersion } from './model-slot.ts';
import { notReady, statusOf } from './model-status.ts';

/** An idle host answers within 1 ms; on a busy machine it gets 3 s. */
const PING_DEADLINE_MS = 3_000;
const UNLOAD_DEADLINE_MS = 10_000;

type SlotRequest = RunRequest<ModelSlot>;

export type HostJobsOptions = {
  readonly name: string;
  /** Runs of watches that may wait. */
  readonly watchRunsMax: number;
  readonly live: LiveHost;
  readonly onJudged: JudgedListener;
  readonly deps: Deps;
  /** Loads a model in the host; must not throw. */
  readonly load: (host: HostProcess, slot: ModelSlot) => Promise<void>;
  readonly onLoaded: () => void;
  readonly onPing: (residentBytes: number) => void;
};

/** Does the work of the scheduler in the live host. */
export class HostJobs {
  readonly scheduler: Scheduler<ModelSlot>;
  readonly #options: HostJobsOptions;
  readonly #clock;
  readonly #metrics;
  readonly #stopMetrics: () => void;
  /** Versions replaced by one on a server, while their sessions are still in the host. */
  readonly #unloading = new Map<ModelSlot, SlotVersion>();
  /** Runs that only the replaced version takes, which is in the replaced host. */
  #leftRuns: { readonly request: SlotRequest; readonly before: SlotVersion }[] = [];

  constructor(options: HostJobsOptions) {
    const { name, live, deps, onJudged } = options;
    this.#options = options;
    this.#clock = deps.clock;
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.scheduler = new Scheduler<ModelSlot>({
      ...options,
      worker: {
        // One job at a time: so the model at fault is known if the host ends, and a deadline counts only the run itself.
        jobsMax: () => (live.process?.lastAnswerMs === undefined ? 0 : 1),
        // Runs of a model that has moved to a server are passed on to it.
        isReady: (slot) => serverOf(slot) !== undefined || readyIn(slot, live.process) !== undefined,
        notReady: (slot) => notReady(slot, live.process),
        session: (slot) => this.#session(slot),
        passOn: (slot, requests) => this.#passOn(slot, requests),
        do: (job) => this.#do(job),
      },
      windows: {
        ready: (slot) => this.ready(slot),
        statusOf: (slot) => statusOf(slot, live.process),
        run: (slot, inputs) => this.run(slot, inputs, 'watch'),
        onJudged,
      },
    });
    const { andon_inference_queued_runs: queued } = this.#metrics;
    this.#stopMetrics = deps.metrics.beforeText(() => queued.set({ host: name }, this.scheduler.runs));
  }

  /** Returns the model as a run would find it: as it runs, or as it is expected back from a lost host within its deadline. */
  ready(slot: ModelSlot): ServedModel | undefined {
    const { live } = this.#options;
    const ready = serverOf(slot)?.ready ?? readyIn(slot, live.process);
    const lost = localVersion(slot.state);
    if (ready !== undefined || lost === undefined) return ready;
    return live.respawnsInMs() < slot.use.serving.deadlineMs ? lost.served : undefined;
  }

  async run(slot: ModelSlot, inputs: Tensors, priority: RunPriority): Promise<RunResult> {
    const server = serverOf(slot);
    if (server !== undefined) return server.run(inputs, priority);
    const ready = this.ready(slot);
    if (ready === undefined) throw notReady(slot, this.#options.live.process);
    const fed = priority === 'watch' ? windowFeed(ready, inputs) : inputs;
    checkInputs(ready.inputs, fed, judgesWindows(ready.manifest) ? 1 : 0);
    const queuedMs = this.#clock.monotonicMs();
    try {
      return await this.scheduler.run({ model: slot, priority, inputs: fed, specs: ready.inputs, queuedMs });
    } catch (error) {
      slot.use.noteFailed(queuedMs);
      throw error;
    }
  }

  /** Resolves when the session is gone. A run of it that is under way ends before. */
  async unload(label: string): Promise<void> {
    const host = this.#options.live.process;
    if (host === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.scheduler.add({ kind: 'unload', key: label, host, done: resolve });
    await promise;
  }

  /** The model runs on a server now, which gets the runs that wait. Its session here runs what the server does not take. */
  async unloadMoved(slot: ModelSlot, before: SlotVersion): Promise<void> {
    const served = serverOf(slot)?.ready;
    const fits = (request: SlotRequest) => served !== undefined && incompatibility(request, served) === undefined;
    this.#passOn(slot, this.scheduler.takeRuns(slot, fits));
    if (before.host !== undefined) this.#unloading.set(slot, before);
    await this.unload(slot.label);
    this.#unloading.delete(slot);
  }

  /** Another version took over. Runs that fit only the version `before` are kept for it, see `hostReplaced`. */
  versionReplaced(slot: ModelSlot, before: SlotVersion | undefined, now: ServedModel): void {
    const isLeft = (request: SlotRequest) => before !== undefined && incompatibility(request, now) !== undefined;
    for (const request of this.scheduler.takeRuns(slot, isLeft))
      if (before !== undefined) this.#leftRuns.push({ request, before });
  }

  /**
   * Another host is live: it gets all jobs from now on.
   *
   * @returns Ends the work in the replaced host: its current job, and the runs that only its versions take.
   */
  hostReplaced(): () => Promise<void> {
    const ended = this.scheduler.hostReplaced();
    return async () => {
      await ended;
      for (const { request, before } of this.#leftRuns.splice(0))
        await runRequests(this.#sessionIn(before.host, request.model, before.served), [request], this.#clock);
    };
  }

  /** The live host must have been killed. Rejects what waits. */
  async stop(): Promise<void> {
    await this.scheduler.stop(inferenceFailure('model-not-ready', 'The inference host is stopping'));
    this.#stopMetrics();
  }

  #session(slot: ModelSlot): RunSession | undefined {
    const host = this.#options.live.process;
    const unloading = this.#unloading.get(slot);
    const served = readyIn(slot, host) ?? (unloading?.host === host ? unloading?.served : undefined);
    return served && this.#sessionIn(host, slot, served);
  }

  #passOn(slot: ModelSlot, requests: readonly SlotRequest[]): void {
    const server = serverOf(slot);
    for (const { inputs, priority, resolve, reject } of requests)
      if (server === undefined) reject(notReady(slot, this.#options.live.process));
      else void server.run(inputs, priority).then(resolve, reject);
  }

  async #do(job: HostJob<ModelSlot>): Promise<void> {
    const host = this.#options.live.process;
    invariant(host !== undefined, 'jobs begin while a host is live');
    switch (job.kind) {
      case 'load':
        return this.#options.load(host, job.model);
      case 'ping':
        return this.#doPing(host);
      case 'unload':
        // A session goes with its host. The next host may have another session under the same key.
        if (job.host === host) await host.call('unload', { key: job.key }, UNLOAD_DEADLINE_MS).catch(() => undefined);
        return job.done();
    }
  }

  #sessionIn(host: HostProcess | undefined, slot: ModelSlot, served: ServedModel): RunSession {
    return {
      served,
      run: async (params, timeoutMs) => {
        if (host === undefined) throw notReady(slot, host);
        return host.call('run', params, timeoutMs);
      },
      ended: (outcome, priority) => {
        if (host !== undefined) this.#noteRun(host, slot, served.judgedBy.provider, outcome, priority);
      },
    };
  }

  #noteRun(host: HostProcess, slot: ModelSlot, provider: string, outcome: RunOutcome, priority: RunPriority): void {
    if (outcome.kind === 'ran') {
      slot.apply({ kind: 'run-ended', succeeded: true });
      this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, outcome.tookMs / 1000);
      return;
    }
    // The end of a replaced host says nothing about the version in the next host, or on a server.
    if (this.#options.live.isLeaving(host) || serverOf(slot) !== undefined) return;
    if (outcome.kind === 'lost') slot.noteCrash(provider, outcome.reason);
    // The values of a client may be at fault; they must not replace the host of the watches.
    if (outcome.kind !== 'failed' || (priority === 'client' && this.#options.name === WATCH_HOST)) return;
    if (slot.apply({ kind: 'run-ended', succeeded: false }).length === 0) return;
    slot.noteCrash(provider, `runs keep failing: ${outcome.reason}`);
    host.kill('provider');
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
}
