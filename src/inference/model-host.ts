import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { ModelStatus, RunPriority, RunResult, ServedModel, Tensors } from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/model-manifest.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { HostExit } from './host-process.ts';
import { HostProcess, isLoss } from './host-process.ts';
import { inferenceFailure } from './inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { ModelDirectory } from './model-directory.ts';
import { ModelSlot } from './model-slot.ts';
import type { ModelsConfig } from './models-config.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { loadSession } from './load-session.ts';
import { MemoryBound } from './memory-bound.ts';
import { NamedTimers } from './named-timers.ts';
import type { FallbackFor } from './remote/connect-remote.ts';
import { connectRemote } from './remote/connect-remote.ts';
import type { Job, RunRequest } from './run-queue.ts';
import { RunQueue } from './run-queue.ts';
import { runRequests, timelyRequests } from './run-requests.ts';
import { WATCH_HOST } from './serving.ts';
import { checkInputs } from './tensor-check.ts';

const PING_INTERVAL_MS = 1_000;
/** An idle host answers within a millisecond; a machine that is short of time gets three seconds. */
const PING_DEADLINE_MS = 3_000;
const START_DEADLINE_MS = 30_000;
const UNLOAD_DEADLINE_MS = 10_000;
/** Where the machine is short of time, whoever judges for the watches goes first. */
const VISITOR_NICENESS = 10;
const RESPAWN_MS_FIRST = 100;
const RESPAWN_MS_MAX = 30_000;
/** A host that lived this long was well; the next one is started without the wait that earlier crashes built up. */
const STEADY_MS = 60_000;

export type ModelHostOptions = {
  /** As the configuration names it: `main`, `visitors`. */
  readonly name: string;
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  readonly fallbackFor?: FallbackFor;
  readonly deps: Deps;
};

/**
 * Runs models in one child process, and replaces it whenever it crashes, hangs, overruns or grows too large.
 *
 * The host is asked one thing at a time: so the model at fault is known when it dies, and a run's deadline counts
 * the run alone and not the ones before it. What waits, waits in a bounded queue, the watches' runs in front.
 */
export class ModelHost implements AsyncDisposable {
  readonly #options: ModelHostOptions;
  readonly #deps: Deps;
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #health;
  readonly #backoff: Backoff;
  readonly #slots = new Map<string, ModelSlot>();
  readonly #queue: RunQueue;
  readonly #timers: NamedTimers;
  /** Every process that lives: the host, one that is to take over, one that has been let go. */
  readonly #hosts = new Set<HostProcess>();
  readonly #memory: MemoryBound;
  #host: HostProcess | undefined;
  #hostStartedMs = 0;
  #current: Promise<void> | undefined;
  #replacing = false;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ModelHostOptions) {
    const { name, config, deps } = options;
    this.#options = options;
    this.#deps = deps;
    this.#config = config;
    const ownBytesMax = config.hosts[name]?.maxMemory;
    this.#memory = new MemoryBound(
      ownBytesMax ?? config.maxMemory,
      name === WATCH_HOST && ownBytesMax === undefined ? 'models.maxMemory' : `models.hosts.${name}.maxMemory`,
    );
    this.#directory = ModelDirectory.of(config);
    this.#timers = new NamedTimers(deps.clock);
    this.#queue = new RunQueue({ watchRunsMax: config.maxQueuedRuns });
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.#health = deps.health.component(name === WATCH_HOST ? 'inference' : `inference/${name}`);
    this.#backoff = new Backoff({ firstMs: RESPAWN_MS_FIRST, maxMs: RESPAWN_MS_MAX, random: deps.random });
  }

  get name(): string {
    return this.#options.name;
  }

  get slots(): readonly ModelSlot[] {
    return [...this.#slots.values()];
  }

  slot(label: string): ModelSlot | undefined {
    return this.#slots.get(label);
  }

  /** Makes room for a model, and loads it where the host is started. One that is there already stays as it is. */
  add(model: ModelReference, component: string): ModelSlot {
    const label = formatModelReference(model);
    const known = this.#slots.get(label);
    if (known !== undefined) return known;
    const slot = new ModelSlot(model, { component, host: this.name, config: this.#config, deps: this.#deps });
    this.#slots.set(label, slot);
    if (this.#state !== 'running') return slot;
    if (this.#slots.size === 1 && this.#hosts.size === 0 && !this.#timers.has('respawn')) this.#begins();
    else this.#enqueueLoad(slot);
    return slot;
  }

  /** Lets go of a model: what waits for it is told, the run under way ends, and then its session. */
  async remove(label: string): Promise<void> {
    const slot = this.#slots.get(label);
    if (slot === undefined) return;
    this.#slots.delete(label);
    this.#timers.cancel(`retry ${label}`);
    this.#queue.reject(slot, inferenceFailure('model-not-ready', `Model '${label}' is being unloaded`));
    slot.remove();
    if (this.#liveHost() === undefined) return;
    const unloaded = new Promise<void>((resolve) => this.#queue.unload(label, resolve));
    this.#pump();
    await unloaded;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    if (this.#slots.size === 0) this.#health.report('ok', 'no model is configured');
    else this.#begins();
  }

  /** Process id of the host; undefined while it is being replaced. */
  get hostPid(): number | undefined {
    return this.#liveHost()?.pid;
  }

  reload(): void {
    for (const slot of this.#slots.values()) this.reloadOne(slot);
  }

  /** Looks again at which version is active, and tries again what failed. What runs goes on meanwhile. */
  reloadOne(slot: ModelSlot): void {
    slot.retry();
    slot.lookAgain();
    this.#enqueueLoad(slot);
  }

  ready(label: string): ServedModel | undefined {
    return this.#slots.get(label)?.ready(this.#liveHost());
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#slots.values()].map((slot) => slot.status(this.#liveHost()));
  }

  /** While a host is being replaced, or is busy within a deadline, the supervision itself is what answers. */
  lastTickMs(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    return this.#current === undefined ? (this.#host?.lastAnswerMs ?? nowMs) : nowMs;
  }

  async run(label: string, inputs: Tensors, priority: RunPriority): Promise<RunResult> {
    const slot = this.#slots.get(label);
    if (slot === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not loaded`);
    if (slot.remote !== undefined) return slot.remote.run(inputs, priority);
    const ready = slot.readyIn(this.#liveHost());
    if (ready === undefined) throw slot.notReady(this.#liveHost());
    checkInputs(ready.inputs, inputs, judgesWindows(ready.manifest) ? 1 : 0);
    const queuedMs = this.#deps.clock.monotonicMs();
    try {
      const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
      const rows = slot.rowsOf(inputs, priority);
      this.#queue.push({ slot, priority, inputs, ...rows, queuedMs, resolve, reject });
      this.#noteQueue();
      this.#pump();
      return await promise;
    } catch (error) {
      slot.noteFailed(queuedMs);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timers.cancelAll();
    const hosts = [...this.#hosts];
    for (const host of hosts) host.kill('stopped');
    await Promise.all(hosts.map((host) => host.exited));
    await this.#current;
    // A batch that failed last of all has put its requests back.
    this.#rejectQueue('The inference host is stopping');
    for (const slot of this.#slots.values()) slot.remove();
    this.#health.remove();
  }

  /** The host, unless it is on its way out. */
  #liveHost(): HostProcess | undefined {
    return this.#host?.doomed === true ? undefined : this.#host;
  }

  /** Takes the next job, where the host is free for one. */
  #pump(): void {
    const host = this.#liveHost();
    if (this.#current !== undefined || host?.lastAnswerMs === undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const job = this.#queue.take(nowMs);
    if (job === undefined) {
      const dueMs = this.#queue.dueMs();
      if (dueMs !== undefined) this.#setTimer('batch', Math.max(0, dueMs - nowMs), () => this.#pump());
      return;
    }
    this.#current = this.#do(host, job).finally(() => {
      this.#current = undefined;
      this.#pump();
    });
  }

  #do(host: HostProcess, job: Job): Promise<void> {
    switch (job.kind) {
      case 'run':
        return this.#doRun(host, job.slot, job.requests);
      case 'load':
        return this.#doLoad(host, job.slot);
      case 'unload':
        return host.call('unload', { key: job.key }, UNLOAD_DEADLINE_MS).then(job.done, job.done);
      case 'ping':
        return this.#doPing(host);
    }
  }

  async #doRun(host: HostProcess, slot: ModelSlot, requests: readonly RunRequest[]): Promise<void> {
    this.#noteQueue();
    const { clock } = this.#deps;
    const ready = slot.readyIn(host);
    if (ready === undefined) return slot.turnAway(requests, host);
    const timely = timelyRequests(requests, clock.monotonicMs());
    if (timely.length === 0) return;
    const outcome = await runRequests((run, ms) => host.call('run', run, ms), slot, ready, timely, clock);
    switch (outcome.kind) {
      case 'ran':
        slot.noteRun(true);
        this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, outcome.tookMs / 1000);
        return;
      case 'lost':
        return this.#noteCrash(slot, ready.judgedBy.provider, outcome.reason);
      case 'failed':
      case 'refused':
        this.#queue.pushAlone(outcome.alone);
        // What a visitor sends may be at fault; where watches judge, it is not to have the host replaced.
        if (outcome.kind === 'refused' || (timely[0]?.priority === 'visitor' && this.name === WATCH_HOST)) return;
        if (slot.noteRun(false)) this.#replaceSick(host, slot, ready.judgedBy.provider, outcome.reason);
    }
  }

  #replaceSick(host: HostProcess, slot: ModelSlot, provider: string, reason: string): void {
    this.#noteCrash(slot, provider, `runs keep failing: ${reason}`);
    host.kill('provider');
  }

  async #doLoad(host: HostProcess, slot: ModelSlot): Promise<void> {
    let provider: string | undefined;
    const running = slot.readyIn(host);
    try {
      const stored = slot.takeKnown() ?? (await this.#directory.find(slot.reference));
      slot.noteAttempt(stored.version);
      if (stored.manifest.runtime === 'remote') return connectRemote(slot, stored, this.#options);
      if (running?.manifest.version === stored.version && running.manifest.sha256 === stored.manifest.sha256)
        return slot.unchanged();
      const session = await loadOnFirstProvider(slot.providers, slot.givenUp, (candidate) => {
        provider = candidate.name;
        return loadSession(host, slot.label, stored, candidate, this.#config);
      });
      if (!(await this.#isWanted(host, slot))) return;
      // A fresh host took over meanwhile; the session goes with this one, and the version is loaded in that one.
      if (this.#host !== host) return this.reloadOne(slot);
      slot.becomeReady(stored, session, host);
      this.#health.report('ok');
    } catch (error) {
      if (this.#state === 'stopped' || this.#slots.get(slot.label) !== slot) return;
      if (isLoss(error)) return this.#noteCrash(slot, provider, errorMessage(error));
      if (slot.ready(host) !== undefined) return slot.keep(error);
      slot.fail(error);
      this.#retryLater(slot);
    }
  }

  /** A model may have been unloaded while it was loading; then its session goes too. */
  async #isWanted(host: HostProcess, slot: ModelSlot): Promise<boolean> {
    if (this.#slots.get(slot.label) === slot) return true;
    if (!this.#slots.has(slot.label)) await host.call('unload', { key: slot.label }, UNLOAD_DEADLINE_MS);
    return false;
  }

  #noteCrash(slot: ModelSlot, provider: string | undefined, reason: string): void {
    if (this.#state === 'stopped') return;
    if (slot.noteCrash(provider, reason)) this.#retryLater(slot);
  }

  /** One more try for a model that failed or was set aside, at long intervals. */
  #retryLater(slot: ModelSlot): void {
    this.#setTimer(`retry ${slot.label}`, this.#config.quarantine.retryAfter, () => {
      // Where a reload has tried it before its time, there is nothing left to do.
      if (slot.retry()) this.#enqueueLoad(slot);
    });
  }

  #enqueueLoad(slot: ModelSlot): void {
    this.#queue.load(slot);
    this.#pump();
  }

  #begins(): void {
    this.#spawn();
    this.#schedulePing();
  }

  #spawn(): void {
    const host = this.#newHost();
    this.#host = host;
    this.#hostStartedMs = this.#deps.clock.monotonicMs();
    for (const slot of this.#slots.values()) if (slot.state === 'loading') this.#enqueueLoad(slot);
    void this.#begin(host).then(
      () => this.#pump(),
      () => host.kill('hang'),
    );
  }

  #newHost(): HostProcess {
    const host = new HostProcess(
      this.#options.entry,
      this.#deps.clock,
      this.name === WATCH_HOST ? 0 : VISITOR_NICENESS,
    );
    this.#hosts.add(host);
    void this.#watch(host);
    return host;
  }

  async #watch(host: HostProcess): Promise<void> {
    const exit = await host.exited;
    this.#hosts.delete(host);
    if (this.#host === host) this.#lost(exit);
  }

  async #begin(host: HostProcess): Promise<void> {
    const { residentBytes } = await host.call('ping', undefined, START_DEADLINE_MS, 'hang');
    this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
    this.#deps.log.info({ host: this.name, pid: host.pid }, 'Inference host started.');
    this.#health.report('ok');
  }

  #lost(exit: HostExit): void {
    this.#host = undefined;
    if (this.#state === 'stopped') return;
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#hostStartedMs >= STEADY_MS) this.#backoff.reset();
    const waitMs = this.#backoff.nextMs();
    const reason = `the inference host ended (${exit.reason}: ${exit.detail})`;
    this.#metrics.andon_inference_host_restarts_total.inc({ reason: exit.reason, host: this.name });
    this.#deps.log.warn(
      { host: this.name, ...exit, respawnMs: Math.round(waitMs) },
      'Inference host ended; it is started again.',
    );
    this.#health.report('degraded', `${reason}; started again in ${Math.round(waitMs)} ms`);
    for (const slot of this.#slots.values()) slot.lose(reason);
    this.#rejectQueue(`Waiting for a new host: ${reason}`);
    this.#setTimer('respawn', waitMs, () => this.#spawn());
  }

  #schedulePing(): void {
    this.#setTimer('ping', PING_INTERVAL_MS, () => {
      this.#schedulePing();
      // In turn with the runs: a host that is busy has that run's deadline, and cannot answer before.
      this.#queue.ping();
      this.#pump();
    });
  }

  async #doPing(host: HostProcess): Promise<void> {
    try {
      const { residentBytes } = await host.call('ping', undefined, PING_DEADLINE_MS, 'hang');
      this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
      // Runs go on in the old host while the fresh one loads.
      if (this.#memory.isPassed(residentBytes, this.#deps.clock.monotonicMs())) void this.#recycle(host, residentBytes);
    } catch (error) {
      // A lost host is dealt with where its end is seen.
      if (!isLoss(error)) throw error;
    }
  }

  /** Starts a fresh host, loads in it what runs now, and only then lets go of the old one, after its run. */
  async #recycle(old: HostProcess, residentBytes: number): Promise<void> {
    if (this.#replacing) return;
    this.#memory.noteRecycling(this.#deps.clock.monotonicMs());
    const reason = `${this.#memory.sizes(residentBytes)} resident`;
    this.#deps.log.info({ host: this.name, residentBytes }, 'Inference host is too large; a fresh one takes over.');
    const fresh = this.#newHost();
    this.#replacing = true;
    try {
      await this.#begin(fresh);
      const loaded = await this.#loadAsIn(old, fresh);
      const needed = await fresh.call('ping', undefined, START_DEADLINE_MS, 'hang');
      if (this.#host !== old) return fresh.kill('stopped');
      // Its end has been seen already, so nobody would notice that it is not there.
      if (fresh.doomed) throw inferenceFailure('host-crashed', 'it ended before it took over');
      this.#host = fresh;
      this.#hostStartedMs = this.#deps.clock.monotonicMs();
      for (const becomeReady of loaded) becomeReady();
      this.#metrics.andon_inference_host_restarts_total.inc({ reason: 'memory', host: this.name });
      this.#loadWhatIsMissing();
      await this.#current;
      old.kill('memory');
      const remark = this.#memory.noteFresh(needed.residentBytes);
      this.#health.report(remark === '' ? 'ok' : 'degraded', remark);
      this.#pump();
    } catch (error) {
      fresh.kill('stopped');
      if (this.#state === 'running')
        this.#health.report('degraded', `${reason}, and no fresh host could take over: ${errorMessage(error)}`);
    } finally {
      this.#replacing = false;
    }
  }

  /** Loads each model that is ready in `old` on the same provider in `fresh`. */
  async #loadAsIn(old: HostProcess, fresh: HostProcess): Promise<readonly (() => void)[]> {
    const loaded: (() => void)[] = [];
    for (const slot of this.#slots.values()) {
      const judgedBy = slot.readyIn(old)?.judgedBy;
      const provider = slot.providers.find(({ name }) => name === judgedBy?.provider);
      const { stored } = slot;
      if (judgedBy === undefined || provider === undefined || stored === undefined) continue;
      const session = await loadSession(fresh, slot.label, stored, provider, this.#config);
      loaded.push(() => {
        if (this.#slots.get(slot.label) === slot)
          slot.becomeReady(stored, { loaded: session, provider, fallbacks: judgedBy.fallbacks }, fresh);
      });
    }
    return loaded;
  }

  #loadWhatIsMissing(): void {
    for (const slot of this.#slots.values())
      if (slot.readyIn(this.#host) === undefined && (slot.state === 'ready' || slot.state === 'loading'))
        this.#enqueueLoad(slot);
  }

  #rejectQueue(reason: string): void {
    this.#queue.rejectAll(inferenceFailure('model-not-ready', reason));
    this.#noteQueue();
  }

  #noteQueue(): void {
    this.#metrics.andon_inference_queued_runs.set({ host: this.name }, this.#queue.runs);
  }

  #setTimer(name: string, delayMs: number, callback: () => void): void {
    this.#timers.set(name, delayMs, () => {
      if (this.#state === 'running') callback();
    });
  }
}
