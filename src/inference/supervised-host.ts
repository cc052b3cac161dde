import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { InferenceHost, ModelStatus, ReadyModel, RunResult, Tensors } from '../contracts/inference.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { ConfigError, errorCode, errorMessage, OperatingError } from '../platform/errors.ts';
import type { HostExit } from './host-process.ts';
import { HostProcess, isLoss } from './host-process.ts';
import { inferenceFailure } from './inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import type { StoredModel } from './model-directory.ts';
import { ModelDirectory } from './model-directory.ts';
import { ModelSlot } from './model-slot.ts';
import type { ModelsConfig, ProviderConfig } from './models-config.ts';
import { loadOnFirstProvider } from './provider-order.ts';
import { checkInputs } from './tensor-check.ts';

const PING_INTERVAL_MS = 1_000;
/** An idle host answers within a millisecond; a machine that is short of time gets three seconds. */
const PING_DEADLINE_MS = 3_000;
const START_DEADLINE_MS = 30_000;
const RESPAWN_MS_FIRST = 100;
const RESPAWN_MS_MAX = 30_000;
/** A host that lived this long was well; the next one is started without the wait that earlier crashes built up. */
const STEADY_MS = 60_000;
const RECYCLE_INTERVAL_MS_MIN = 60_000;
/** Models that need more memory than they may would have their host replaced without end: it must grow by half first. */
const RECYCLE_GROWTH = 1.5;

export type SupervisedInferenceHostOptions = {
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  /** Loaded at the start, in this order; one asked for twice is loaded once. */
  readonly models: readonly ModelReference[];
  readonly deps: Deps;
};

type Job = RunJob | { readonly kind: 'load'; readonly slot: ModelSlot } | { readonly kind: 'ping' };
type RunJob = {
  readonly kind: 'run';
  readonly slot: ModelSlot;
  readonly inputs: Tensors;
  readonly queuedMs: number;
  resolve(result: RunResult): void;
  reject(error: unknown): void;
};

/**
 * Runs models in one child process, and replaces it whenever it crashes, hangs, overruns or grows too large.
 *
 * The host is asked one thing at a time: so the model at fault is known when it dies, and a run's deadline counts
 * the run alone and not the ones before it. `maxQueuedRuns` wait here; one more is refused.
 */
export class SupervisedInferenceHost implements InferenceHost {
  readonly #options: SupervisedInferenceHostOptions;
  readonly #deps: Deps;
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #health;
  readonly #backoff: Backoff;
  readonly #slots: ReadonlyMap<string, ModelSlot>;
  readonly #jobs: Job[] = [];
  readonly #timers = new Map<string, Timer>();
  /** Every process that lives: the host, one that is to take over, one that has been let go. */
  readonly #hosts = new Set<HostProcess>();
  #host: HostProcess | undefined;
  #hostStartedMs = 0;
  #queuedRuns = 0;
  #current: Promise<void> | undefined;
  #replacing = false;
  #residentBytesMax: number;
  #replacedMs = Number.NEGATIVE_INFINITY;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: SupervisedInferenceHostOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#config = options.config;
    this.#residentBytesMax = this.#config.maxMemory;
    this.#directory = new ModelDirectory(this.#config.directory, { modelBytesMax: this.#config.maxModelSize });
    this.#metrics = this.#deps.metrics.of(inferenceMetrics);
    this.#health = this.#deps.health.component('inference');
    this.#backoff = new Backoff({ firstMs: RESPAWN_MS_FIRST, maxMs: RESPAWN_MS_MAX, random: this.#deps.random });
    this.#slots = new Map(
      options.models.map((model) => [
        formatModelReference(model),
        new ModelSlot(model, this.#config, this.#deps, this.#metrics),
      ]),
    );
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    if (this.#slots.size === 0) return this.#health.report('ok', 'no model is configured');
    this.#spawn();
    this.#schedulePing();
  }

  /** Process id of the host; undefined while it is being replaced. */
  get hostPid(): number | undefined {
    return this.#liveHost()?.pid;
  }

  /**
   * Looks again at which versions are active, and tries again what failed or is quarantined. A new version takes over
   * once it has proved itself; until then, and where it does not, the one before goes on.
   */
  reload(): void {
    for (const slot of this.#slots.values()) {
      if (slot.state === 'failed' || slot.state === 'quarantined') slot.retry();
      slot.lookAgain();
      this.#enqueueLoad(slot);
    }
    this.#pump();
  }

  ready(model: ModelReference): ReadyModel | undefined {
    return this.#slots.get(formatModelReference(model))?.readyIn(this.#liveHost());
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#slots.values()].map((slot) => slot.status(this.#liveHost()));
  }

  /** While a host is being replaced, or is busy within a deadline, the supervision itself is what answers. */
  lastTickMs(): number {
    const nowMs = this.#deps.clock.monotonicMs();
    return this.#current === undefined ? (this.#host?.lastAnswerMs ?? nowMs) : nowMs;
  }

  async run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    const label = formatModelReference(model);
    try {
      const result = await this.#enqueue(label, inputs);
      this.#metrics.andon_inference_runs_total.inc({ model: label, outcome: 'ok' });
      return result;
    } catch (error) {
      this.#metrics.andon_inference_runs_total.inc({ model: label, outcome: errorCode(error) });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    for (const timer of this.#timers.values()) timer.cancel();
    this.#rejectQueue('The inference host is stopping');
    const hosts = [...this.#hosts];
    for (const host of hosts) host.kill('stopped');
    await Promise.all(hosts.map((host) => host.exited));
    await this.#current;
    for (const slot of this.#slots.values()) slot.remove();
    this.#health.remove();
  }

  async #enqueue(label: string, inputs: Tensors): Promise<RunResult> {
    const slot = this.#slots.get(label);
    if (slot === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not configured`);
    const ready = slot.readyIn(this.#liveHost());
    if (ready === undefined) throw this.#notReady(slot);
    checkInputs(ready.inputs, inputs);
    if (this.#queuedRuns >= this.#config.maxQueuedRuns)
      throw inferenceFailure('inference-queue-full', `${this.#queuedRuns} runs wait for the inference host already`);
    const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
    const queuedMs = this.#deps.clock.monotonicMs();
    this.#setQueuedRuns(this.#queuedRuns + 1);
    this.#jobs.push({ kind: 'run', slot, inputs, queuedMs, resolve, reject });
    this.#pump();
    return promise;
  }

  #notReady(slot: ModelSlot): OperatingError {
    const { state, reason } = slot.status(this.#liveHost());
    return inferenceFailure('model-not-ready', `Model '${slot.label}' is ${state}: ${reason}`);
  }

  /** The host, unless it is on its way out. */
  #liveHost(): HostProcess | undefined {
    return this.#host?.doomed === true ? undefined : this.#host;
  }

  /** Takes the next job, where the host is free for one. */
  #pump(): void {
    const host = this.#liveHost();
    if (this.#current !== undefined || host?.lastAnswerMs === undefined) return;
    const job = this.#jobs.shift();
    if (job === undefined) return;
    this.#current = this.#do(host, job).finally(() => {
      this.#current = undefined;
      this.#pump();
    });
  }

  #do(host: HostProcess, job: Job): Promise<void> {
    switch (job.kind) {
      case 'run':
        return this.#doRun(host, job);
      case 'load':
        return this.#doLoad(host, job.slot);
      case 'ping':
        return this.#doPing(host);
    }
  }

  async #doRun(host: HostProcess, job: RunJob): Promise<void> {
    const { slot, inputs } = job;
    this.#setQueuedRuns(this.#queuedRuns - 1);
    const ready = slot.readyIn(host);
    if (ready === undefined) return job.reject(this.#notReady(slot));
    const startedMs = this.#deps.clock.monotonicMs();
    if (startedMs - job.queuedMs > this.#config.deadline)
      return job.reject(
        inferenceFailure('inference-timeout', `Waited ${Math.round(startedMs - job.queuedMs)} ms behind other runs`),
      );
    try {
      const { outputs, runMs } = await host.call('run', { key: slot.label, inputs }, this.#config.deadline);
      const tookMs = this.#deps.clock.monotonicMs() - startedMs;
      this.#metrics.andon_inference_duration_seconds.observe({ model: slot.label }, tookMs / 1000);
      slot.noteRun(true);
      job.resolve({ outputs, judgedBy: ready.judgedBy, runMs });
    } catch (error) {
      if (isLoss(error)) this.#noteCrash(slot, ready.judgedBy.provider, errorMessage(error));
      else if (errorCode(error) === 'model-run-failed' && slot.noteRun(false)) {
        this.#noteCrash(slot, ready.judgedBy.provider, `runs keep failing: ${errorMessage(error)}`);
        host.kill('provider');
      }
      job.reject(error);
    }
  }

  async #doLoad(host: HostProcess, slot: ModelSlot): Promise<void> {
    let provider: string | undefined;
    const running = slot.readyIn(host);
    try {
      const stored = slot.takeKnown() ?? (await this.#directory.find(slot.reference));
      if (running?.manifest.version === stored.version && running.manifest.sha256 === stored.manifest.sha256) return;
      const session = await loadOnFirstProvider(this.#config.executionProviders, slot.givenUp, (candidate) => {
        provider = candidate.name;
        return this.#loadSession(host, slot, stored, candidate);
      });
      slot.becomeReady(stored, session, host);
      this.#health.report('ok');
    } catch (error) {
      if (this.#state === 'stopped') return;
      if (isLoss(error)) return this.#noteCrash(slot, provider, errorMessage(error));
      if (running !== undefined) return slot.keep(loadFailureText(error));
      slot.fail(loadFailureText(error));
      this.#retryLater(slot);
    }
  }

  async #loadSession(host: HostProcess, slot: ModelSlot, stored: StoredModel, provider: ProviderConfig) {
    return host.call(
      'load',
      {
        key: slot.label,
        model: stored,
        directory: this.#config.directory,
        modelBytesMax: this.#config.maxModelSize,
        stagingDirectory: await host.stagingDirectory,
        provider,
        intraOpThreads: this.#config.intraOpThreads,
      },
      this.#config.loadDeadline,
    );
  }

  #noteCrash(slot: ModelSlot, provider: string | undefined, reason: string): void {
    if (this.#state === 'stopped') return;
    if (slot.noteCrash(provider, reason)) this.#retryLater(slot);
  }

  /** One more try for a model that failed or was set aside, at long intervals. */
  #retryLater(slot: ModelSlot): void {
    this.#setTimer(`retry ${slot.label}`, this.#config.quarantine.retryAfter, () => {
      slot.retry();
      this.#enqueueLoad(slot);
      this.#pump();
    });
  }

  #enqueueLoad(slot: ModelSlot): void {
    if (!this.#jobs.some((job) => job.kind === 'load' && job.slot === slot)) this.#jobs.push({ kind: 'load', slot });
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
    const host = new HostProcess(this.#options.entry, this.#deps.clock);
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
    this.#metrics.andon_inference_host_resident_bytes.set(residentBytes);
    this.#deps.log.info({ pid: host.pid }, 'Inference host started.');
    this.#health.report('ok');
  }

  #lost(exit: HostExit): void {
    this.#host = undefined;
    if (this.#state === 'stopped') return;
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#hostStartedMs >= STEADY_MS) this.#backoff.reset();
    const waitMs = this.#backoff.nextMs();
    const reason = `the inference host ended (${exit.reason}: ${exit.detail})`;
    this.#metrics.andon_inference_host_restarts_total.inc({ reason: exit.reason });
    this.#deps.log.warn({ ...exit, respawnMs: Math.round(waitMs) }, 'Inference host ended; it is started again.');
    this.#health.report('degraded', `${reason}; started again in ${Math.round(waitMs)} ms`);
    for (const slot of this.#slots.values()) slot.lose(reason);
    this.#rejectQueue(`Waiting for a new host: ${reason}`);
    this.#setTimer('respawn', waitMs, () => this.#spawn());
  }

  #schedulePing(): void {
    this.#setTimer('ping', PING_INTERVAL_MS, () => {
      this.#schedulePing();
      // In turn with the runs: a host that is busy has that run's deadline, and cannot answer before.
      if (!this.#jobs.some(({ kind }) => kind === 'ping')) this.#jobs.push({ kind: 'ping' });
      this.#pump();
    });
  }

  async #doPing(host: HostProcess): Promise<void> {
    try {
      const { residentBytes } = await host.call('ping', undefined, PING_DEADLINE_MS, 'hang');
      this.#metrics.andon_inference_host_resident_bytes.set(residentBytes);
      // Runs go on in the old host while the fresh one loads.
      if (residentBytes > this.#residentBytesMax) void this.#recycle(host, residentBytes);
    } catch (error) {
      // A lost host is dealt with where its end is seen.
      if (!isLoss(error)) throw error;
    }
  }

  /** Starts a fresh host, loads in it what runs now, and only then lets go of the old one, after its run. */
  async #recycle(old: HostProcess, residentBytes: number): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#replacing || nowMs - this.#replacedMs < RECYCLE_INTERVAL_MS_MIN) return;
    this.#replacedMs = nowMs;
    const reason = `${formatByteSize(residentBytes)} of ${formatByteSize(this.#config.maxMemory)} resident`;
    this.#deps.log.info({ residentBytes }, 'Inference host is too large; a fresh one takes over.');
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
      this.#metrics.andon_inference_host_restarts_total.inc({ reason: 'memory' });
      this.#loadWhatIsMissing();
      await this.#current;
      old.kill('memory');
      this.#reportMemory(needed.residentBytes);
      this.#pump();
    } catch (error) {
      fresh.kill('stopped');
      if (this.#state === 'running')
        this.#health.report('degraded', `${reason}, and no fresh host could take over: ${errorMessage(error)}`);
    } finally {
      this.#replacing = false;
    }
  }

  /** @param residentBytes What a fresh host takes up with every model loaded. */
  #reportMemory(residentBytes: number): void {
    const bytesMax = this.#config.maxMemory;
    this.#residentBytesMax = Math.max(bytesMax, residentBytes * RECYCLE_GROWTH);
    if (residentBytes <= bytesMax) return this.#health.report('ok');
    const sizes = `${formatByteSize(residentBytes)} of ${formatByteSize(bytesMax)}`;
    this.#health.report('degraded', `a fresh host takes ${sizes} with its models; raise models.maxMemory`);
  }

  /** Loads each model that is ready in `old` on the same provider in `fresh`. */
  async #loadAsIn(old: HostProcess, fresh: HostProcess): Promise<readonly (() => void)[]> {
    const loaded: (() => void)[] = [];
    for (const slot of this.#slots.values()) {
      const judgedBy = slot.readyIn(old)?.judgedBy;
      const provider = this.#config.executionProviders.find(({ name }) => name === judgedBy?.provider);
      const { stored } = slot;
      if (judgedBy === undefined || provider === undefined || stored === undefined) continue;
      const session = await this.#loadSession(fresh, slot, stored, provider);
      loaded.push(() => slot.becomeReady(stored, { loaded: session, provider, fallbacks: judgedBy.fallbacks }, fresh));
    }
    return loaded;
  }

  #loadWhatIsMissing(): void {
    for (const slot of this.#slots.values())
      if (slot.readyIn(this.#host) === undefined && (slot.state === 'ready' || slot.state === 'loading'))
        this.#enqueueLoad(slot);
  }

  #rejectQueue(reason: string): void {
    for (const job of this.#jobs.splice(0)) {
      if (job.kind === 'run') job.reject(inferenceFailure('model-not-ready', reason));
    }
    this.#setQueuedRuns(0);
  }

  #setQueuedRuns(count: number): void {
    this.#queuedRuns = count;
    this.#metrics.andon_inference_queued_runs.set(count);
  }

  #setTimer(name: string, delayMs: number, callback: () => void): void {
    this.#timers.get(name)?.cancel();
    this.#timers.set(
      name,
      this.#deps.clock.setTimer(
        () => {
          this.#timers.delete(name);
          if (this.#state === 'running') callback();
        },
        delayMs,
        { background: true },
      ),
    );
  }
}

function loadFailureText(error: unknown): string {
  if (error instanceof ConfigError || error instanceof OperatingError) return error.message;
  return `could not be loaded: ${errorMessage(error)}`;
}
