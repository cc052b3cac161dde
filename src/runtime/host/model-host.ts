import type { ModelReference } from '../../domain/model/model-reference.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import type { ModelStatus, RunPriority, RunResult, ServedModel, Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { LeftRun } from './host-jobs.ts';
import { HostJobs } from './host-jobs.ts';
import type { HostProcess } from './host-process.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { LiveHost } from './live-host.ts';
import { ModelDirectory } from '../../models/store/model-directory.ts';
import type { Misfits } from './model-slot.ts';
import { ModelSlot } from './model-slot.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { loadSession } from './load-session.ts';
import { MemoryBound } from './memory-bound.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import type { FallbackFor } from '../remote/connect-remote.ts';
import { connectRemote } from '../remote/connect-remote.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';
import { startOrder } from './start-order.ts';
import type { Successor } from './successor.ts';
import type { TakeOverReason } from './take-over.ts';
import { TakeOver } from './take-over.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';

const UNLOAD_DEADLINE_MS = 10_000;
/** Between two tries of a model that takes a fresh host down, until it is set aside. */
const RETRY_CRASHED_MS = 1_000;

export type ModelHostOptions = {
  /** As the configuration names it: `main`, `clients`. */
  readonly name: string;
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  readonly fallbackFor?: FallbackFor;
  readonly deps: Deps;
};

/**
 * Runs models in one child process, and replaces it whenever it crashes, hangs, overruns or grows too large, and
 * wherever a model or version is to be loaded beside others that run.
 */
export class ModelHost implements AsyncDisposable {
  readonly #options: ModelHostOptions;
  readonly #deps: Deps;
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #health;
  readonly #live: LiveHost;
  readonly #slots = new Map<string, ModelSlot>();
  readonly #jobs: HostJobs;
  readonly #timers: NamedTimers;
  readonly #memory: MemoryBound;
  readonly #takeOver: TakeOver;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ModelHostOptions) {
    const { name, config, deps } = options;
    this.#options = options;
    this.#deps = deps;
    this.#config = config;
    const ownBytesMax = config.hosts[name]?.maxMemoryBytes;
    this.#memory = new MemoryBound(
      ownBytesMax ?? config.maxMemoryBytes,
      name === WATCH_HOST && ownBytesMax === undefined ? 'models.maxMemory' : `models.hosts.${name}.maxMemory`,
    );
    this.#directory = ModelDirectory.of(config);
    this.#timers = new NamedTimers(deps.clock);
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.#health = deps.health.component(name === WATCH_HOST ? 'inference' : `inference/${name}`);
    this.#live = new LiveHost({
      ...options,
      health: this.#health,
      onSpawned: () => this.#loadAtStart(),
      onStarted: () => this.#started(),
      onLost: (reason) => this.#lost(reason),
    });
    this.#jobs = new HostJobs({
      name,
      watchRunsMax: config.maxQueuedRuns,
      live: this.#live,
      deps,
      load: (host, slot) => this.#doLoad(host, slot),
      onLoaded: () => this.#takeOver.consider(),
      onCrash: (slot, provider, reason) => this.#noteCrash(slot, provider, reason),
      onPing: (residentBytes) => this.#notePing(residentBytes),
    });
    this.#takeOver = new TakeOver({
      name,
      slots: () => this.slots,
      settledHost: () => this.#settledHost(),
      newHost: () => this.#live.startAnother(),
      loadInPlace: (slot) => this.#jobs.load(slot),
      connect: (slot, stored) => connectRemote(slot, stored, this.#options),
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

  /**
   * Makes room for a model, and loads it where the host is started. One that is there already stays as it is.
   *
   * @param misfits Why those who use it cannot use a version; it does not take over then.
   */
  add(model: ModelReference, component: string, misfits: Misfits = () => []): ModelSlot {
    const label = formatModelReference(model);
    const known = this.#slots.get(label);
    if (known !== undefined) return known;
    const slot = new ModelSlot(model, {
      component,
      host: this.name,
      misfits,
      onMovedToServer: (before) => void this.#jobs.movedToServer(slot, before),
      config: this.#config,
      deps: this.#deps,
    });
    this.#slots.set(label, slot);
    if (this.#state !== 'running') return slot;
    if (!this.#live.isBegun) this.#begins();
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
    this.#jobs.reject(slot, inferenceFailure('model-not-ready', `Model '${label}' is being unloaded`));
    slot.remove();
    await this.#jobs.unload(label);
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    if (this.#slots.size === 0) this.#health.report('ok', 'no model is configured');
    else this.#begins();
  }

  /** Process id of the host; undefined while it is being replaced. */
  get hostPid(): number | undefined {
    return this.#live.process?.pid;
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
    if (slot?.remote !== undefined) return slot.remote.ready;
    const ready = slot?.readyIn(this.#live.process);
    if (slot === undefined || ready !== undefined) return ready;
    const { returning } = slot;
    if (returning === undefined || this.#state === 'stopped') return undefined;
    return this.#live.respawnsInMs() < slot.use.serving.deadlineMs ? returning : undefined;
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#slots.values()].map((slot) => slot.status(this.#live.process));
  }

  /** While a host is being replaced, or is busy within a deadline, the supervision itself is what answers. */
  lastTickMs(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    return this.#jobs.isBusy ? nowMs : (this.#live.lastAnswerMs ?? nowMs);
  }

  async run(label: string, inputs: Tensors, priority: RunPriority): Promise<RunResult> {
    const slot = this.#slots.get(label);
    if (slot === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not loaded`);
    if (slot.remote !== undefined) return slot.remote.run(inputs, priority);
    const ready = this.ready(label);
    if (ready === undefined) throw slot.notReady(this.#live.process);
    checkInputs(ready.inputs, inputs, judgesWindows(ready.manifest) ? 1 : 0);
    const queuedMs = this.#deps.clock.monotonicMs();
    try {
      const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
      const rows = slot.use.rowsOf(inputs, priority);
      this.#jobs.run({ slot, priority, inputs, specs: ready.inputs, ...rows, queuedMs, resolve, reject });
      return await promise;
    } catch (error) {
      slot.use.noteFailed(queuedMs);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timers.cancelAll();
    await this.#live.stop();
    await this.#takeOver.stop();
    await this.#jobs.stop();
    for (const slot of this.#slots.values()) slot.remove();
    this.#health.remove();
  }

  /** The live host, once it has loaded what it was started for. */
  #settledHost(): HostProcess | undefined {
    const host = this.#live.process;
    return this.#jobs.loads || host?.lastAnswerMs === undefined || this.#state !== 'running' ? undefined : host;
  }

  /** Loads a model in the live host, whose other models wait meanwhile: at its start, or where no other runs. */
  async #doLoad(host: HostProcess, slot: ModelSlot): Promise<void> {
    // It runs before its turn, here or on a server; if another version is active now, that is for a fresh host.
    if (slot.remote !== undefined || slot.readyIn(host) !== undefined) return this.#takeOver.want(slot);
    let provider: string | undefined;
    try {
      const { known } = slot;
      if (known === undefined) slot.beginSeeking();
      const stored = known ?? (await this.#directory.find(slot.reference));
      slot.noteAttempt(stored.version);
      if (stored.manifest.runtime === 'remote') {
        slot.checkFits(stored);
        return connectRemote(slot, stored, this.#options);
      }
      if (known === undefined) slot.dropComing();
      const session = await loadOnFirstProvider(slot.providers, slot.givenUp, (candidate) => {
        provider = candidate.name;
        return loadSession(host, slot.label, stored, candidate, this.#config);
      });
      if (await this.#isWanted(host, slot)) slot.becomeReady(stored, session, host);
    } catch (error) {
      if (this.#state === 'stopped' || this.#slots.get(slot.label) !== slot || slot.remote !== undefined) return;
      if (isLoss(error)) return this.#noteCrash(slot, provider, errorMessage(error));
      slot.fail(error);
      this.#setAside(slot);
    }
  }

  /** A model may have been unloaded while it was loading, or have moved to a server; then its session goes too. */
  async #isWanted(host: HostProcess, slot: ModelSlot): Promise<boolean> {
    const current = this.#slots.get(slot.label);
    if (current === slot && slot.remote === undefined) return true;
    if (current === undefined || current === slot) await host.call('unload', { key: slot.label }, UNLOAD_DEADLINE_MS);
    return false;
  }

  #noteCrash(slot: ModelSlot, provider: string | undefined, reason: string): void {
    if (this.#state === 'stopped' || this.#slots.get(slot.label) !== slot) return;
    if (slot.noteCrash(provider, reason)) this.#setAside(slot);
    // One that was loaded in a fresh host; what the live one took along is loaded again with the next.
    else if (this.#live.process !== undefined && slot.state === 'loading')
      this.#setTimer(`retry ${slot.label}`, RETRY_CRASHED_MS, () => this.#load(slot));
  }

  /** One more try for a version that failed, was refused or was set aside, at long intervals. */
  #setAside(slot: ModelSlot): void {
    if (!slot.goesOn) this.#jobs.reject(slot, slot.notReady(this.#live.process));
    this.#setTimer(`retry ${slot.label}`, this.#config.quarantine.retryAfterMs, () => {
      // Where a reload has tried it before its time, there is nothing left to do.
      if (slot.retry() || slot.refusal !== '') this.#load(slot);
    });
  }

  /** By a fresh host beside others that run, or are about to again, and where it may take over from a server. */
  #load(slot: ModelSlot): void {
    if (this.#state !== 'running') return;
    const isAlone = this.slots.every(({ known }) => known === undefined) && !this.#takeOver.isUnderWay;
    if (isAlone && slot.remote === undefined) this.#jobs.load(slot);
    else this.#takeOver.want(slot);
  }

  #begins(): void {
    this.#live.spawn();
    this.#jobs.startPings();
  }

  #loadAtStart(): void {
    const { atOnce, later } = startOrder(this.slots);
    for (const slot of atOnce) this.#jobs.load(slot);
    for (const slot of later) this.#takeOver.want(slot);
  }

  #started(): void {
    this.#jobs.pump();
    this.#takeOver.consider();
  }

  #lost(reason: string): void {
    for (const slot of this.#slots.values()) slot.lose(reason);
    this.#jobs.hostLost();
    this.#takeOver.hostLost();
  }

  /**
   * Puts a fresh host in the place of the live one, in one step; the run under way there ends there, and so do those
   * that wait with inputs that only the version before takes.
   */
  async #swap({ host, models, residentBytes }: Successor, reason: TakeOverReason): Promise<void> {
    const replaced = this.#live.process;
    const left: LeftRun[] = [];
    this.#live.replace(host);
    const lastEnded = this.#jobs.hostReplaced();
    for (const { slot, stored, session, isNew } of models) {
      const isOther = stored !== slot.stored;
      const served = slot.readyIn(replaced);
      // One that was to go on as it is may have moved to a server meanwhile.
      if (this.#slots.get(slot.label) === slot && (isNew || !isOther)) slot.becomeReady(stored, session, host);
      else void this.#jobs.unload(slot.label);
      const now = slot.readyIn(host);
      const before = replaced === undefined || served === undefined ? undefined : { served, host: replaced };
      if (isOther && now !== undefined) left.push(...this.#jobs.renewed(slot, now, before));
    }
    this.#metrics.andon_inference_host_restarts_total.inc({ reason, host: this.name });
    this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
    const remark = this.#memory.noteFresh(residentBytes, reason === 'version');
    this.#health.report(remark === '' ? 'ok' : 'degraded', remark);
    this.#jobs.pump();
    await lastEnded;
    await this.#jobs.runLeft(left);
    this.#live.letGo();
  }

  #notePing(residentBytes: number): void {
    this.#metrics.andon_inference_host_resident_bytes.set({ host: this.name }, residentBytes);
    const nowMs = this.#deps.clock.monotonicMs();
    if (!this.#memory.isPassed(residentBytes, nowMs)) return;
    this.#memory.noteRecycling(residentBytes, nowMs);
    this.#takeOver.wantForMemory(`${this.#memory.sizes(residentBytes)} resident`);
  }

  #setTimer(name: string, delayMs: number, callback: () => void): void {
    this.#timers.set(name, delayMs, () => {
      if (this.#state === 'running') callback();
    });
  }
}
