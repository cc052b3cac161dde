import type { ModelStatus } from '../../contracts/inference.ts';
import type { JudgedListener } from '../../contracts/window-models.ts';
import { localVersion } from '../../domain/model/lifecycle.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { isLoss } from '../../models/errors/host-loss.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { ModelDirectory, type StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import { connectRemote, type FallbackFor } from './connect-remote.ts';
import { HostJobs } from './host-jobs.ts';
import type { HostProcess, HostOptions } from './host-process.ts';
import { LiveHost } from './live-host.ts';
import { MemoryBound } from './memory-bound.ts';
import {
  type HostEffect,
  type Incompatibilities,
  ModelSlot,
  serverOf,
  type SlotVersion,
  slotVersion,
} from './model-slot.ts';
import { notReady, statusOf } from './model-status.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { startOrder } from './start-order.ts';
import { TakeOver } from './take-over.ts';

const PING_INTERVAL_MS = 1_000;
const UNLOAD_DEADLINE_MS = 10_000;
/** Pause before the next try of a model that took a fresh host down, until its quarantine. */
const RETRY_CRASHED_MS = 1_000;

export type ModelHostOptions = HostOptions & {
  /** Name in the configuration: `main`, `clients`. */
  readonly name: string;
  readonly fallbackFor?: FallbackFor;
  /** Receives the judgements of windows. */
  readonly onJudged?: JudgedListener;
  /** Models are looked up and loaded after this; the process starts before. */
  readonly loadsAfter?: Promise<void>;
};

/**
 * Runs models in one child process. Replaces the process when it crashes, hangs, exceeds a deadline or grows too large,
 * and when a model or version is to be loaded next to others that run.
 */
export class ModelHost implements AsyncDisposable {
  readonly name: string;
  readonly jobs: HostJobs;
  readonly #options: ModelHostOptions;
  readonly #deps: Deps;
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #health;
  readonly #live: LiveHost;
  /** By label. */
  readonly #slots = new Map<string, ModelSlot>();
  readonly #timers: NamedTimers;
  readonly #memory: MemoryBound;
  readonly #takeOver: TakeOver;
  /** As of the last ping. */
  #residentBytes: number | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ModelHostOptions) {
    const { name, config, onJudged = () => undefined, deps } = options;
    this.name = name;
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
    this.jobs = new HostJobs({
      name,
      watchRunsMax: config.maxQueuedRuns,
      live: this.#live,
      onJudged,
      deps,
      load: (host, slot) => this.#loadIn(host, slot),
      onLoaded: () => this.#takeOver.consider(),
      onPing: (residentBytes) => this.#notePing(residentBytes),
    });
    this.#takeOver = new TakeOver({
      ...options,
      slots: this.#slots,
      live: this.#live,
      jobs: this.jobs,
      find: (model) => this.#findVersion(model),
      memory: this.#memory,
      health: this.#health,
    });
  }

  get slots(): readonly ModelSlot[] {
    return [...this.#slots.values()];
  }

  /** Process id of the host; undefined while it is being replaced. */
  get hostPid(): number | undefined {
    return this.#live.process?.pid;
  }

  /**
   * Adds a model, and loads it if the host is started. A model that is there already stays as it is.
   *
   * @param incompatibilities Returns why the watches that use the model cannot use a version, which then does not take
   *   over. Undefined if no watch learns the model; then a model without an active version is a fault.
   */
  add(model: ModelReference, component: string, incompatibilities?: Incompatibilities): ModelSlot {
    const label = formatModelReference(model);
    const known = this.#slots.get(label);
    if (known !== undefined) return known;
    const slot = new ModelSlot(model, {
      component,
      host: this.name,
      incompatibilities: incompatibilities ?? (() => []),
      mayBeAbsent: incompatibilities !== undefined,
      onEffect: (of, effect) => this.#carryOut(of, effect),
      config: this.#config,
      deps: this.#deps,
    });
    this.#slots.set(label, slot);
    if (this.#state !== 'running') return slot;
    if (!this.#live.isBegun) this.#begin();
    else this.#load(slot);
    return slot;
  }

  /** Removes a model: what waits for it is rejected, the run under way ends, and then its session goes. */
  async remove(label: string): Promise<void> {
    const slot = this.#slots.get(label);
    if (slot === undefined) return;
    this.#slots.delete(label);
    this.#timers.cancel(`retry ${label}`);
    this.jobs.scheduler.reject(slot, inferenceFailure('model-not-ready', `Model '${label}' is being unloaded`));
    slot.apply({ kind: 'removed' });
    await this.jobs.unload(label);
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    if (this.#slots.size === 0) this.#health.report('ok', 'no model is configured');
    else this.#begin();
  }

  /** Looks up the active version again, and retries what failed. What runs keeps running meanwhile. */
  reload(slot: ModelSlot): void {
    slot.apply({ kind: 'load-requested', isAwaited: true });
    this.#load(slot);
  }

  statuses(): readonly ModelStatus[] {
    return this.slots.map((slot) => ({
      ...statusOf(slot, this.#live.process),
      usage: { host: this.name, residentBytes: this.#residentBytes, ...slot.use.means() },
    }));
  }

  /** Monotonic time. While a host is being replaced, or is busy within a deadline, the supervision itself answers. */
  lastTickMs(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    return this.jobs.scheduler.activity === 'idle' ? (this.#live.lastAnswerMs ?? nowMs) : nowMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timers.cancelAll();
    await this.#live.stop();
    await this.#takeOver.stop();
    await this.jobs.stop();
    for (const slot of this.#slots.values()) slot.apply({ kind: 'removed' });
    this.#health.remove();
  }

  /** Loads a model in the live host, whose other models wait meanwhile: at its start, or if no other runs. */
  async #loadIn(host: HostProcess, slot: ModelSlot): Promise<void> {
    // A model that runs by now needs no load here. Another active version is loaded in a fresh host.
    if (!this.#isMissing(slot)) return;
    const lost = localVersion(slot.state);
    if (lost === undefined) slot.apply({ kind: 'load-begun' });
    let provider: string | undefined;
    try {
      const stored = lost?.stored ?? (await this.#find(slot));
      if (stored.manifest.runtime === 'remote') {
        slot.checkFits(stored);
        return connectRemote(slot, stored, this.#options);
      }
      const session = await loadOnFirstProvider(host, slot.label, stored, slot.crashes, this.#config, ({ name }) => {
        provider = name;
      });
      if (this.#isMissing(slot)) {
        const loaded = slotVersion(slot, stored, session, host);
        slot.apply({ kind: lost === undefined ? 'loaded' : 'restored', loaded });
      } else await this.#discard(host, slot);
    } catch (error) {
      if (this.#state !== 'stopped') this.#noteLoadFailure(slot, lost, error, provider);
    }
  }

  #noteLoadFailure(slot: ModelSlot, lost: SlotVersion | undefined, error: unknown, provider: string | undefined): void {
    if (!this.#isMissing(slot)) slot.apply({ kind: 'load-superseded' });
    else if (isLoss(error)) {
      if (lost === undefined) slot.apply({ kind: 'load-crashed' });
      slot.noteCrash(provider, errorMessage(error));
    } else if (lost === undefined) slot.fail({ kind: 'refused', version: slot.state.attempted }, error);
    else slot.fail({ kind: 'restore-failed' }, error);
  }

  async #find(slot: ModelSlot): Promise<StoredModel> {
    const stored = await this.#findVersion(slot.reference);
    slot.apply({ kind: 'version-found', version: stored.version, isRemote: stored.manifest.runtime === 'remote' });
    return stored;
  }

  async #findVersion(model: ModelReference): Promise<StoredModel> {
    await this.#options.loadsAfter;
    return this.#directory.find(model);
  }

  #isMissing({ state: { run } }: ModelSlot): boolean {
    return run.kind === 'none' || run.kind === 'lost';
  }

  /** Unloads a session that is not needed: its model was removed, or moved to a server, during the load. */
  async #discard(host: HostProcess, slot: ModelSlot): Promise<void> {
    slot.apply({ kind: 'load-superseded' });
    const current = this.#slots.get(slot.label);
    // A model that was added again has a session of its own under this key.
    if (current === undefined || current === slot) await host.call('unload', { key: slot.label }, UNLOAD_DEADLINE_MS);
  }

  /** Carries out what the lifecycle of a model asks of its host. */
  #carryOut(slot: ModelSlot, effect: HostEffect): void {
    if (this.#state === 'stopped') return;
    const retry = `retry ${slot.label}`;
    switch (effect.kind) {
      case 'unload-local':
        return void this.jobs.unloadMoved(slot, effect.loaded);
      case 'reject-waiting':
        return this.jobs.scheduler.reject(slot, notReady(slot, this.#live.process));
      case 'retry-later':
        return this.#setTimer(retry, this.#config.quarantine.retryAfterMs, () => this.#retry(slot));
      case 'retry-soon':
        // A model that took the live host down is loaded again with the next one.
        if (this.#live.process !== undefined) this.#setTimer(retry, RETRY_CRASHED_MS, () => this.#retry(slot));
    }
  }

  /** Tries again what failed or was refused, unless a reload has done so already. */
  #retry(slot: ModelSlot): void {
    const { run, refusal } = slot.state;
    if (run.kind !== 'none' && refusal === undefined) return;
    slot.apply({ kind: 'load-requested', isAwaited: false });
    this.#load(slot);
  }

  /** Starts a load that is requested: in a fresh host if others run or are about to, or if a server is to be replaced. */
  #load(slot: ModelSlot): void {
    if (this.#state !== 'running') return;
    const isAlone = this.slots.every(({ state }) => localVersion(state) === undefined) && !this.#takeOver.isUnderWay;
    if (isAlone && serverOf(slot) === undefined) this.jobs.scheduler.add({ kind: 'load', model: slot });
    else this.#takeOver.consider();
  }

  #begin(): void {
    this.#live.spawn();
    this.#ping();
  }

  /** Sends a ping every second, in turn with the runs: a busy host cannot answer before. */
  #ping(): void {
    this.#setTimer('ping', PING_INTERVAL_MS, () => {
      this.#ping();
      this.jobs.scheduler.add({ kind: 'ping' });
    });
  }

  #loadAtStart(): void {
    const { immediately, later } = startOrder(this.slots);
    for (const slot of immediately) this.jobs.scheduler.add({ kind: 'load', model: slot });
    for (const slot of later) slot.apply({ kind: 'load-requested', isAwaited: false });
  }

  #started(): void {
    this.jobs.scheduler.pump();
    this.#takeOver.consider();
  }

  #lost(reason: string): void {
    for (const slot of this.#slots.values()) slot.apply({ kind: 'host-lost', reason });
    this.jobs.scheduler.hostLost();
    this.#takeOver.hostLost();
  }

  #notePing(residentBytes: number): void {
    this.#residentBytes = residentBytes;
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
