import { isDeepStrictEqual } from 'node:util';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { RunPriority, RunResult, ServedModel, Tensors, TensorSpec } from '../../contracts/inference.ts';
import type { RemoteServer } from '../../contracts/remote-server.ts';
import { type ProviderFallback, REMOTE_PROVIDER } from '../../domain/alarm/verdict.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { MetricsOf } from '../../platform/metrics.ts';
import type { HostRun, LoadedSession, RunParams } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { loadFailureText } from '../../models/errors/load-failure-text.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import { Scheduler } from '../queue/scheduler.ts';
import type { QueuedModel, RunSession } from '../queue/worker.ts';
import { checkInputs } from '../../models/checks/tensor-check.ts';
import { asGraphTakes } from '../../models/checks/window-scores.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { FallbackModel } from './fallback-model.ts';
import { checkServerAllowed } from '../../models/store/allowed-servers.ts';
import { RemoteClient } from './remote-client.ts';
import { remoteFailure } from '../../models/errors/remote-errors.ts';
import { remoteMetrics } from './remote-metrics.ts';
import { RemoteSession } from './remote-session.ts';

/** Pause between proofs: detects a server whose weights change under the same version. */
const PROVE_AGAIN_MS = 300_000;

const unfitCodes: ReadonlySet<string> = new Set([
  'model-load-failed',
  'model-golden-mismatch',
  'model-output-invalid',
  'remote-server-not-allowed',
]);

type RemoteHealth = 'ok' | 'degraded' | 'failed';

/** A version as its host or server proved it. */
export type ReadySession = {
  readonly loaded: LoadedSession;
  readonly provider: { readonly name: string };
  readonly fallbacks: readonly ProviderFallback[];
};

/** The model whose version runs, or is to run, on a server. */
export type RemoteOwner = QueuedModel & {
  /** Name of the host that the model runs in otherwise. */
  readonly hostName: string;
  /** Returns whether the metrics of the model are those of this server. */
  readonly isShown: (server: RemoteModel) => boolean;
  readonly onProved: (server: RemoteModel, session: ReadySession) => void;
  readonly onReport: (server: RemoteModel, health: RemoteHealth, reason: string) => void;
};

export type RemoteModelOptions = {
  readonly owner: RemoteOwner;
  readonly stored: StoredModel;
  readonly server: RemoteServer;
  readonly config: ModelsConfig;
  /** Local model that judges for the watches if this one cannot; undefined if there is none. */
  readonly fallback: FallbackModel | undefined;
  readonly deps: Deps;
};

/**
 * A version of a model that runs on a server. It is proved before it is used, has a bounded number of connections, and
 * gets no runs while the circuit breaker is open.
 *
 * Its runs do not pass an inference host, so that a slow server delays no local model. The same limits apply to runs that
 * wait: `models.maxQueuedRuns` runs of watches, `maxQueue` client requests.
 */
export class RemoteModel {
  readonly stored: StoredModel;
  readonly #owner: RemoteOwner;
  readonly #server: RemoteServer;
  readonly #config: ModelsConfig;
  readonly #fallback: FallbackModel | undefined;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof remoteMetrics>;
  readonly #client: RemoteClient;
  readonly #breaker: CircuitBreaker;
  readonly #scheduler: Scheduler;
  readonly #timers: NamedTimers;
  readonly #stopMetrics: () => void;
  #session: RemoteSession | undefined;
  #proving = false;
  /** The last run failed; for health. */
  #failing = false;
  #reason = 'its server has not answered yet';
  #served: ServedModel | undefined;
  /** Runs that are not answered yet. */
  #runs = 0;
  /** 'leaving': another version took over; earlier runs are still answered. */
  #state: 'open' | 'leaving' | 'closed' = 'open';

  constructor(options: RemoteModelOptions) {
    const { owner, stored, server, config, fallback, deps } = options;
    this.stored = stored;
    this.#owner = owner;
    this.#server = server;
    this.#config = config;
    this.#fallback = fallback;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(remoteMetrics);
    this.#client = new RemoteClient(server, owner.label, deps);
    this.#breaker = new CircuitBreaker({ failuresMax: server.failures, random: deps.random });
    this.#scheduler = new Scheduler({
      worker: {
        jobsMax: () => (this.#state === 'closed' ? 0 : server.connections),
        // Runs that wait while the circuit is open are rejected immediately.
        isReady: () => true,
        notReady: () => this.#leftAlone(),
        session: () => this.#currentSession(),
        passOn: (_, requests) => {
          for (const { reject } of requests) reject(this.#leftAlone());
        },
        do: async () => undefined,
      },
      watchRunsMax: config.maxQueuedRuns,
      deps,
    });
    this.#stopMetrics = deps.metrics.beforeText(() => {
      if (this.#isShown && this.#state !== 'closed')
        this.#metrics.andon_remote_queued_runs.set(this.#labels, this.#scheduler.runs);
    });
    this.#timers = new NamedTimers(deps.clock);
  }

  /** Returns immediately; the owner receives the result. */
  start(): void {
    this.#noteCircuit();
    void this.#start();
  }

  /** The server was proved and gets runs. */
  get isProved(): boolean {
    return this.#breaker.state === 'closed';
  }

  /** The model that would judge now: this one, or its fallback with the reason; undefined if neither can. */
  get ready(): ServedModel | undefined {
    return this.isProved ? this.#served : this.#fallback?.served(this.#reason);
  }

  /**
   * Proves the server now unless it is proved.
   *
   * @returns False if there is nothing to do; otherwise the owner receives the result.
   */
  retry(): boolean {
    if (this.isProved) return false;
    void this.#prove();
    return true;
  }

  /**
   * One run, as `ClientInference.run`. The fallback judges the windows of a watch if the server is away, too slow or
   * answers wrongly, or if the circuit is open.
   */
  async run(inputs: Tensors, priority: RunPriority): Promise<RunResult> {
    const queuedMs = this.#deps.clock.monotonicMs();
    this.#runs += 1;
    try {
      return await this.#ask(inputs, priority, queuedMs);
    } catch (error) {
      this.#owner.use.noteFailed(queuedMs);
      const judged = priority === 'watch' ? await this.#fallBack(inputs, error) : undefined;
      if (judged === undefined) throw error;
      return judged;
    } finally {
      this.#runs -= 1;
      if (this.#state === 'leaving' && this.#runs === 0) this.close();
    }
  }

  /** Closes the connection after the last answer; accepts no more runs. */
  leave(): void {
    if (this.#state !== 'open') return;
    this.#state = 'leaving';
    this.#timers.cancel('prove');
    if (this.#runs === 0) this.close();
  }

  /** Ends the runs in flight with 'model-not-ready'. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#timers.cancelAll();
    void this.#scheduler.stop(inferenceFailure('model-not-ready', `Model '${this.#owner.label}' is being unloaded`));
    this.#stopMetrics();
    this.#client.close();
    this.#fallback?.release();
    if (!this.#isShown) return;
    this.#metrics.andon_remote_circuit_open.remove(this.#labels);
    this.#metrics.andon_remote_queued_runs.remove(this.#labels);
  }

  async #start(): Promise<void> {
    await this.#fallback?.start();
    await this.#prove();
  }

  async #ask(inputs: Tensors, priority: RunPriority, queuedMs: number): Promise<RunResult> {
    const session = this.#session;
    if (session === undefined || !this.isProved) throw this.#leftAlone();
    const named = this.#named(inputs, session.loaded.inputs);
    checkInputs(session.loaded.inputs, named, judgesWindows(this.stored.manifest) ? 1 : 0);
    const specs = session.loaded.inputs;
    return this.#scheduler.run({ model: this.#owner, priority, inputs: named, specs, queuedMs });
  }

  /** Gives the one input of a watch the name, type and shape that this model uses: it may have been made for the fallback. */
  #named(inputs: Tensors, [spec]: readonly TensorSpec[]): Tensors {
    const { manifest } = this.stored;
    const [window, ...others] = Object.values(inputs);
    return judgesWindows(manifest) && window !== undefined && others.length === 0 && spec !== undefined
      ? { [manifest.input]: asGraphTakes(window, spec) }
      : inputs;
  }

  #currentSession(): RunSession | undefined {
    const [session, served] = [this.#session, this.#served];
    if (session === undefined || served === undefined || !this.isProved) return undefined;
    return { served, run: (params, timeoutMs) => this.#runOn(session, params, timeoutMs), ended: () => undefined };
  }

  /** Runs once, and notes what the result shows about the server. */
  async #runOn(session: RemoteSession, params: RunParams, timeoutMs: number): Promise<HostRun> {
    const startedMs = this.#deps.clock.monotonicMs();
    try {
      const result = await session.run(params, timeoutMs);
      const tookMs = this.#deps.clock.monotonicMs() - startedMs;
      this.#metrics.andon_remote_duration_seconds.observe({ model: this.#owner.label }, tookMs / 1000);
      this.#noteSuccess(session);
      return result;
    } catch (error) {
      this.#noteFailure(session, error);
      throw error;
    }
  }

  #noteSuccess(session: RemoteSession): void {
    if (this.#state !== 'open' || this.#session !== session || !this.isProved) return;
    this.#breaker.succeeded();
    if (!this.#failing) return;
    this.#failing = false;
    this.#reportWell();
  }

  #noteFailure(session: RemoteSession, error: unknown): void {
    if (this.#state !== 'open' || this.#session !== session || !this.isProved) return;
    // A server that rejects these values, or returns NaN for them, still works for other windows.
    if (error instanceof OperatingError && error.disposition === 'reject') return;
    if (error instanceof OperatingError && error.code === 'remote-version-changed') return this.#distrust(error);
    if (this.#breaker.failed())
      return this.#leaveAlone(error, `${this.#breaker.failures} runs failed in a row, last: `);
    this.#failing = true;
    this.#reason = errorMessage(error);
    this.#report('degraded');
  }

  /** Another version answers: it must be proved before it is used. */
  #distrust(error: OperatingError): void {
    this.#breaker.halfOpen();
    this.#session = undefined;
    this.#reason = error.message;
    this.#noteCircuit();
    this.#report('degraded');
    void this.#prove();
  }

  #leaveAlone(error: unknown, prefix = ''): void {
    const pauseMs = this.#breaker.open();
    this.#reason = `${prefix}${loadFailureText(error)}`;
    this.#noteCircuit();
    this.#deps.log.warn({ model: this.#owner.label, pauseMs: Math.round(pauseMs) }, `Circuit opened: ${this.#reason}`);
    this.#report(isUnfit(error) && this.ready === undefined ? 'failed' : 'degraded');
    this.#timers.set('prove', pauseMs, () => void this.#prove());
  }

  /** Never rejects. A server that is proved already keeps its runs meanwhile. */
  async #prove(): Promise<void> {
    if (this.#proving || this.#state !== 'open') return;
    this.#proving = true;
    this.#timers.cancel('prove');
    if (!this.isProved) this.#breaker.halfOpen();
    try {
      checkServerAllowed(this.#server, this.#config);
      const limits = { timeoutMs: this.#config.loadDeadlineMs, clock: this.#deps.clock };
      const session = await RemoteSession.prove(this.#client, this.stored.manifest, limits);
      if (this.#isOpen()) this.#take(session);
    } catch (error) {
      if (this.#isOpen()) this.#noteUnproved(error);
    } finally {
      this.#proving = false;
    }
  }

  /** A server in use that is too busy for a proof is still proved; its runs show how well it works. */
  #noteUnproved(error: unknown): void {
    if (this.isProved && !isUnfit(error)) this.#timers.set('prove', PROVE_AGAIN_MS, () => void this.#prove());
    else this.#leaveAlone(error);
  }

  #take(session: RemoteSession): void {
    const isSame = this.isProved && isDeepStrictEqual(shapeOf(this.#session), shapeOf(session));
    const { manifest, name, version } = this.stored;
    const { inputs, outputs } = session.loaded;
    this.#session = session;
    this.#served = {
      manifest,
      inputs,
      outputs,
      judgedBy: { model: name, version, provider: REMOTE_PROVIDER, fallbacks: [] },
    };
    this.#timers.set('prove', PROVE_AGAIN_MS, () => void this.#prove());
    if (isSame) return;
    this.#breaker.close();
    this.#failing = false;
    this.#owner.onProved(this, { loaded: session.loaded, provider: { name: REMOTE_PROVIDER }, fallbacks: [] });
    this.#noteCircuit();
    this.#reportWell();
  }

  async #fallBack(inputs: Tensors, error: unknown): Promise<RunResult | undefined> {
    if (this.#state === 'closed' || !(error instanceof OperatingError)) return undefined;
    const result = await this.#fallback?.judge(inputs, error);
    if (result === undefined) return undefined;
    this.#metrics.andon_remote_fallback_runs_total.inc({ model: this.#owner.label, reason: error.code });
    // The fallback may have become ready after the last report.
    if (!this.isProved) this.#report('degraded');
    return result;
  }

  #report(state: 'degraded' | 'failed'): void {
    const who = this.#fallback === undefined ? '' : `; ${this.#fallback.standing}`;
    this.#owner.onReport(this, state, `${this.#reason}${who}`);
  }

  /** A configured fallback that cannot be used is reported before it is needed. */
  #reportWell(): void {
    const unfit = this.#fallback?.unfit;
    this.#owner.onReport(this, unfit === undefined ? 'ok' : 'degraded', unfit ?? '');
  }

  #leftAlone(): OperatingError {
    return remoteFailure('remote-circuit-open', `${this.#client.origin} gets no requests for now: ${this.#reason}`);
  }

  /** Must be checked again after each await. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }

  /** The metrics of a model are those of the version in use, not of one that comes or leaves. */
  get #isShown(): boolean {
    return this.#owner.isShown(this);
  }

  #noteCircuit(): void {
    if (!this.#isShown) return;
    this.#metrics.andon_remote_circuit_open.set(this.#labels, this.isProved ? 0 : 1);
  }

  get #labels(): { readonly model: string; readonly host: string } {
    return { model: this.#owner.label, host: this.#owner.hostName };
  }
}

/** Returns whether an error concerns the model or its manifest, and not a server that is away. */
function isUnfit(error: unknown): boolean {
  return error instanceof OperatingError && unfitCodes.has(error.code);
}

/** The part of a session that its callers depend on. */
function shapeOf(session: RemoteSession | undefined) {
  const { inputs, outputs, batching } = session?.loaded ?? {};
  return { inputs, outputs, batching };
}
