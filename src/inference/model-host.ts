import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { ModelStatus, RunPriority, RunResult, ServedModel, Tensors } from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/model-manifest.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Deps } from '../platform/deps.ts';
import type { OperatingError } from '../platform/errors.ts';
import { errorMessage } from '../platform/errors.ts';
import type { HostExit } from './host-process.ts';
import { HostProcess, isLoss, START_DEADLINE_MS } from './host-process.ts';
import { inferenceFailure } from './inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { ModelDirectory } from './model-directory.ts';
import { ModelSlot } from './model-slot.ts';
import type { ModelsConfig } from './models-config.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { loadSession } from './load-session.ts';
import { MemoryBound } from './memory-bound.ts';
import { NamedTimers } from './named-timers.ts';
import type { Job, RunRequest } from './run-queue.ts';
import { RunQueue } from './run-queue.ts';
import { fittingRequests, runRequests, timelyRequests, waitedBehindOthers } from './run-requests.ts';
import { WATCH_HOST } from './serving.ts';
import type { Successor } from './successor.ts';
import type { TakeOverReason } from './take-over.ts';
import { TakeOver } from './take-over.ts';
import { checkInputs } from './tensor-check.ts';

const PING_INTERVAL_MS = 1_000;
/** An idle host answers within a millisecond; a machine that is short of time gets three seconds. */
const PING_DEADLINE_MS = 3_000;
const UNLOAD_DEADLINE_MS = 10_000;
/** Where the machine is short of time, whoever judges for the watches goes first. */
const VISITOR_NICENESS = 10;
const RESPAWN_MS_FIRST = 100;
const RESPAWN_MS_MAX = 30_000;
/** A host that lived this long was well; the next one is started without the wait that earlier crashes built up. */
const STEADY_MS = 60_000;
/** A model that takes longer to load is brought back by a fresh host, so that those that are back already need not wait. */
const LOAD_IN_PLACE_MS_MAX = 300;
/** Between two tries of a model that takes a fresh host down, until it is set aside. */
const RETRY_CRASHED_MS = 1_000;

export type ModelHostOptions = {
  /** As the configuration names it: `main`, `visitors`. */
  readonly name: string;
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/**
 * Runs models in one child process, and replaces it whenever it crashes, hangs, overruns or grows too large, and
 * wherever a model or version is to be loaded beside others that run.
 *
 * The host is asked one thing at a time: so the model at fault is known when it dies, and a run's deadline counts
 * the run alone and not the ones before it. What waits, waits in a bounded queue, the watches' runs in front; where the
 * host is lost, for the next one, as long as its deadline allows.
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
  readonly #takeOver: TakeOver;
  #host: HostProcess | undefined;
  /** One whose last run is under way since a fresh one took over. */
  #leaving: HostProcess | undefined;
  #hostStartedMs = 0;
  /** When the next host is started after one was lost; monotonic. */
  #respawnMs = 0;
  /** When those that wait are looked at next; monotonic. */
  #expiryMs = Number.POSITIVE_INFINITY;
  /** What the live host is asked. */
  #current: { readonly kind: Job['kind']; readonly ended: Promise<void> } | undefined;
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
    this.#takeOver = new TakeOver({
      name,
      slots: () => this.slots,
      settledHost: () => this.#settledHost(),
      newHost: () => this.#newHost(),
      loadInPlace: (slot) => this.#loadInPlace(slot),
      swap: (successor, reason) => this.#swap(successor, reason),
      onCrash: (slot, provider, reason) => this.#noteCrash(slot, provider, reason),
      onRefused: (slot) => this.#setAside(slot),
      onNotRecycled: (reason) => this.#health.report('degraded', reason),
      memory: this.#memory,
      directory: this.#directory,
      config,
      deps,
    });
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
    else this.#load(slot);
    return slot;
  }

  /** Lets go of a model: what waits for it is told, the run under way ends, and then its session. */
  async remove(label: string): Promise<void> {
    const slot = this.#slots.get(label);
    if (slot === undefined) return;
    this.#slots.delete(label);
    this.#timers.cancel(`retry ${label}`);
    this.#takeOver.forget(slot);
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
    slot.seekAgain();
    this.#load(slot);
  }

  /** The model as a run would find it: as it runs, or where its host was lost, as it is expected back within its deadline. */
  ready(label: string): ServedModel | undefined {
    const slot = this.#slots.get(label);
    const ready = slot?.readyIn(this.#liveHost());
    if (slot === undefined || ready !== undefined) return ready;
    const { returning } = slot;
    if (returning === undefined || this.#state === 'stopped') return undefined;
    return this.#respawnMs - this.#deps.clock.monotonicMs() < slot.serving.deadlineMs ? returning : undefined;
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
    const ready = this.ready(label);
    if (ready === undefined) throw this.#notReady(slot);
    checkInputs(ready.inputs, inputs, judgesWindows(ready.manifest) ? 1 : 0);
    const queuedMs = this.#deps.clock.monotonicMs();
    try {
      const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
      const rows = slot.rowsOf(inputs, priority);
      this.#queue.push({ slot, priority, inputs, specs: ready.inputs, ...rows, queuedMs, resolve, reject });
      this.#noteQueue();
      this.#pump();
      if (this.#queue.runs > 0) this.#expireBy(queuedMs + slot.serving.deadlineMs);
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
    await this.#current?.ended;
    await this.#takeOver.stop();
    // A batch that failed last of all has put its requests back.
    this.#queue.rejectAll(inferenceFailure('model-not-ready', 'The inference host is stopping'));
    this.#noteQueue();
    for (const slot of this.#slots.values()) slot.remove();
    this.#health.remove();
  }

  #notReady(slot: ModelSlot): OperatingError {
    const { state, reason } = slot.status(this.#liveHost());
    return inferenceFailure('model-not-ready', `Model '${slot.label}' is ${state}: ${reason}`);
  }

  /** The host, unless it is on its way out. */
  #liveHost(): HostProcess | undefined {
    return this.#host?.doomed === true ? undefined : this.#host;
  }

  /** The live host, once it has loaded what it was started for. */
  #settledHost(): HostProcess | undefined {
    const host = this.#liveHost();
    const loads = this.#current?.kind === 'load' || this.#queue.hasLoads;
    return loads || host?.lastAnswerMs === undefined || this.#state !== 'running' ? undefined : host;
  }

  /** Takes the next job, where the host is free for one. */
  #pump(): void {
    const host = this.#liveHost();
    if (this.#current !== undefined || host?.lastAnswerMs === undefined) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const isReady = (slot: ModelSlot): boolean => slot.readyIn(host) !== undefined;
    const job = this.#queue.take(nowMs, isReady);
    if (job === undefined) {
      const dueMs = this.#queue.dueMs(isReady);
      if (dueMs !== undefined) this.#setTimer('batch', Math.max(0, dueMs - nowMs), () => this.#pump());
      return;
    }
    const current = {
      kind: job.kind,
      ended: this.#do(host, job).finally(() => {
        // After a take-over it is the old host's last; the fresh one has been asked other things meanwhile.
        if (this.#current === current) this.#current = undefined;
        this.#pump();
        if (job.kind === 'load') this.#takeOver.consider();
      }),
    };
    this.#current = current;
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
    if (ready === undefined) {
      for (const { reject } of requests) reject(this.#notReady(slot));
      return;
    }
    const timely = fittingRequests(timelyRequests(requests, clock.monotonicMs()), ready);
    if (timely.length === 0) return;
    const outcome = await runRequests(host, slot, ready, timely, clock);
    switch (outcome.kind) {
      case 'ran':
        slot.noteRun(true);
        this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, outcome.tookMs / 1000);
        return;
      case 'lost':
        if (host !== this.#leaving) this.#noteCrash(slot, ready.judgedBy.provider, outcome.reason);
        return;
      case 'failed':
      case 'refused':
        this.#queue.pushAlone(outcome.alone);
        // What a visitor sends may be at fault; where watches judge, it is not to have the host replaced.
        if (outcome.kind === 'refused' || (timely[0]?.priority === 'visitor' && this.name === WATCH_HOST)) return;
        if (host !== this.#leaving && slot.noteRun(false)) this.#replaceSick(host, slot, ready.judgedBy.provider, outcome.reason);
    }
  }

  #replaceSick(host: HostProcess, slot: ModelSlot, provider: string, reason: string): void {
    this.#noteCrash(slot, provider, `runs keep failing: ${reason}`);
    host.kill('provider');
  }

  /** Loads a model in the live host, whose other models wait meanwhile: at its start, or where no other runs. */
  async #doLoad(host: HostProcess, slot: ModelSlot): Promise<void> {
    let provider: string | undefined;
    try {
      const { known } = slot;
      if (known === undefined) slot.beginSeeking();
      const stored = known ?? (await this.#directory.find(slot.reference));
      slot.noteAttempt(stored.version);
      const session = await loadOnFirstProvider(slot.providers, slot.givenUp, (candidate) => {
        provider = candidate.name;
        return loadSession(host, slot.label, stored, candidate, this.#config);
      });
      if (await this.#isWanted(host, slot)) slot.becomeReady(stored, session, host);
    } catch (error) {
      if (this.#state === 'stopped' || this.#slots.get(slot.label) !== slot) return;
      if (isLoss(error)) return this.#noteCrash(slot, provider, errorMessage(error));
      slot.fail(error);
      this.#setAside(slot);
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
    if (slot.noteCrash(provider, reason)) this.#setAside(slot);
    // One that was loaded in a fresh host; what the live one took along is loaded again with the next.
    else if (this.#liveHost() !== undefined && slot.state === 'loading')
      this.#setTimer(`retry ${slot.label}`, RETRY_CRASHED_MS, () => this.#load(slot));
  }

  /** One more try for a version that failed, was refused or was set aside, at long intervals. */
  #setAside(slot: ModelSlot): void {
    if (slot.known === undefined) this.#queue.reject(slot, this.#notReady(slot));
    this.#setTimer(`retry ${slot.label}`, this.#config.quarantine.retryAfter, () => {
      // Where a reload has tried it before its time, there is nothing left to do.
      if (slot.retry() || slot.refusal !== '') this.#load(slot);
    });
  }

  /** Beside others that run, or are about to again, a model is loaded by a fresh host. */
  #load(slot: ModelSlot): void {
    if (this.#state !== 'running') return;
    const isAlone = this.slots.every(({ known }) => known === undefined) && !this.#takeOver.isUnderWay;
    if (isAlone) this.#loadInPlace(slot);
    else this.#takeOver.want(slot);
  }

  #loadInPlace(slot: ModelSlot): void {
    this.#queue.load(slot, this.#deps.clock.monotonicMs());
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
    const { atOnce, later } = startOrder(this.slots);
    for (const slot of atOnce) this.#loadInPlace(slot);
    for (const slot of later) this.#takeOver.want(slot);
    const begun = (): void => {
      this.#pump();
      this.#takeOver.consider();
    };
    void this.#begin(host).then(begun, () => host.kill('hang'));
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
    this.#queue.hostLost();
    this.#takeOver.hostLost();
    this.#respawnMs = nowMs + waitMs;
    this.#setTimer('respawn', waitMs, () => this.#spawn());
  }

  /** Puts a fresh host in the place of the live one, in one step; the run under way there ends there. */
  async #swap({ host, models, residentBytes }: Successor, reason: TakeOverReason): Promise<void> {
    const last = this.#current;
    this.#leaving = this.#host;
    this.#host = host;
    this.#hostStartedMs = this.#deps.clock.monotonicMs();
    this.#current = undefined;
    for (const { slot, stored, session } of models) {
      if (this.#slots.get(slot.label) !== slot) this.#queue.unload(slot.label, () => undefined);
      else {
        if (stored !== slot.stored) this.#queue.separate(slot);
        slot.becomeReady(stored, session, host);
      }
    }
    this.#metrics.andon_inference_host_restarts_total.inc({ reason, host: this.name });
    this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
    const remark = this.#memory.noteFresh(residentBytes);
    this.#health.report(remark === '' ? 'ok' : 'degraded', remark);
    this.#pump();
    await last?.ended;
    this.#leaving?.kill('replaced');
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
      if (host !== this.#host) return;
      this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
      const nowMs = this.#deps.clock.monotonicMs();
      if (!this.#memory.isPassed(residentBytes, nowMs)) return;
      this.#memory.noteRecycling(nowMs);
      this.#takeOver.wantForMemory(`${this.#memory.sizes(residentBytes)} resident`);
    } catch (error) {
      // A lost host is dealt with where its end is seen.
      if (!isLoss(error)) throw error;
    }
  }

  /** Runs that cannot begin, since their host is away or busy, are told at their deadline. @param atMs Monotonic. */
  #expireBy(atMs: number): void {
    if (this.#expiryMs <= atMs) return;
    this.#expiryMs = atMs;
    this.#setTimer('expiry', atMs - this.#deps.clock.monotonicMs(), () => {
      this.#expiryMs = Number.POSITIVE_INFINITY;
      const nowMs = this.#deps.clock.monotonicMs();
      const nextMs = this.#queue.expire(nowMs, (request) => this.#waitedInVain(request, nowMs));
      this.#noteQueue();
      if (nextMs !== undefined) this.#expireBy(nextMs);
    });
  }

  #waitedInVain({ slot, queuedMs }: RunRequest, nowMs: number): OperatingError {
    if (slot.readyIn(this.#liveHost()) !== undefined) return waitedBehindOthers(nowMs - queuedMs);
    const { message } = this.#notReady(slot);
    return inferenceFailure('model-not-ready', `Waited ${Math.round(nowMs - queuedMs)} ms. ${message}`);
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

/**
 * What a host loads at its start. Models that a lost host had come back first, the quick ones before the slow; those
 * that would hold up the others, or have never run, are left to a fresh host.
 */
function startOrder(slots: readonly ModelSlot[]) {
  const loading = slots.filter(({ state }) => state === 'loading');
  const known = loading.filter((slot) => slot.known !== undefined).toSorted((a, b) => a.loadMs - b.loadMs);
  if (known.length === 0) return { atOnce: loading, later: [] };
  const atOnce = known.filter((slot, index) => index === 0 || slot.loadMs <= LOAD_IN_PLACE_MS_MAX);
  return { atOnce, later: loading.filter((slot) => !atOnce.includes(slot)) };
}
