import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { ModelStatistics, ModelStatus, RunPriority, ServedModel, Tensors } from '../contracts/inference.ts';
import type { ProviderFallback } from '../domain/verdict.ts';
import { formatDuration } from '../domain/duration.ts';
import type { Deps } from '../platform/deps.ts';
import type { OperatingError } from '../platform/errors.ts';
import { errorCode, invariant } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { MetricsOf } from '../platform/metrics.ts';
import type { HostProcess } from './host-process.ts';
import { batchSize } from './batch-rows.ts';
import { rowShape } from './golden.ts';
import type { Batching } from './host-protocol.ts';
import { inferenceFailure } from './inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { loadFailureText } from './load-session.ts';
import { ModelCounts } from './model-counts.ts';
import type { StoredModel } from './model-directory.ts';
import type { ModelsConfig, ProviderConfig } from './models-config.ts';
import { nvInferenceMetrics } from './nv-inference-metrics.ts';
import type { ProvidedSession } from './provider-order.ts';
import { fallbackText } from './provider-order.ts';
import type { RunRequest } from './run-queue.ts';
import type { Serving } from './serving.ts';
import { providersOf, servingOf } from './serving.ts';
import { RemoteModel } from './remote/remote-model.ts';

/** Said in its health and in the repository of a model that has no golden vectors. */
export const UNVERIFIED = 'unverified: it has no golden vectors';

/** Times that a GPU may take the host down, within the quarantine's period, before the next provider is used. */
const PROVIDER_CRASHES_MAX = 2;
/** Runs that may fail one after another on a GPU before the host is replaced: a lost device does not come back in place. */
const PROVIDER_FAILURES_MAX = 3;

export type ModelSlotOptions = {
  /** Under which it reports: `model/pump-anomaly`. */
  readonly component: string;
  /** Name of the host that it runs in. */
  readonly host: string;
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/** One configured model: where it stands, what it runs on, and what it did to the host. */
export class ModelSlot {
  readonly reference: ModelReference;
  /** As its watch names it; the key of its session in the host. */
  readonly label: string;
  readonly providers: readonly ProviderConfig[];
  readonly #hostName: string;
  readonly #config: ModelsConfig;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof inferenceMetrics>;
  readonly #nvMetrics: MetricsOf<typeof nvInferenceMetrics>;
  readonly #health: ComponentHealth;
  readonly #givenUp = new Map<string, string>();
  #state: ModelStatus['state'] = 'loading';
  #reason = 'not loaded yet';
  #stored: StoredModel | undefined;
  #attempted: number | undefined;
  #ready: ServedModel | undefined;
  #serving: Serving | undefined;
  #batching: Batching = 'none';
  #counts: ModelCounts | undefined;
  /** Who waits for it to be ready or not. */
  #settled = Promise.withResolvers<void>();
  /** Where it runs. */
  #host: HostProcess | RemoteModel | undefined;
  /** A remote version that is to take over once it is proved. */
  #coming: RemoteModel | undefined;
  /** What health says of it while it is well. */
  #remark = '';
  /** Monotonic times of crashes within the period. */
  #crashesMs: readonly number[] = [];
  #failedRuns = 0;
  #lookAgain = true;
  #removed = false;

  constructor(model: ModelReference, options: ModelSlotOptions) {
    const { component, config, deps } = options;
    this.reference = model;
    this.label = formatModelReference(model);
    this.providers = providersOf(config, model.name);
    this.#hostName = options.host;
    this.#config = config;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.#nvMetrics = deps.metrics.of(nvInferenceMetrics);
    this.#health = deps.health.component(component);
  }

  /** How it is run. Only a model that is ready is run. */
  get serving(): Serving {
    invariant(this.#serving !== undefined, `model '${this.label}' was ready before it was run`);
    return this.#serving;
  }

  /** Resolves once the load that is under way has ended, well or not. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  statistics(): ModelStatistics | undefined {
    return this.#counts?.statistics();
  }

  /**
   * How many rows a request has, and with which others it can go as one run.
   *
   * @throws {OperatingError} 'model-input-invalid' where a visitor's are more than one run may have.
   */
  rowsOf(inputs: Tensors, priority: RunPriority): { readonly rows: number; readonly joinKey: string | undefined } {
    const rows = this.#batching === 'none' ? undefined : batchSize(inputs);
    if (rows === undefined || priority === 'watch') return { rows: rows ?? 1, joinKey: undefined };
    const { batchMax } = this.serving;
    if (rows > batchMax)
      throw inferenceFailure(
        'model-input-invalid',
        `${rows} rows at once, but model '${this.label}' takes ${batchMax}; send fewer, or raise models.limits.${this.reference.name}.maxBatch`,
      );
    return { rows, joinKey: this.#batching === 'rows' ? rowShape(inputs) : undefined };
  }

  /** A run ended well, for all these requests together. */
  noteExecuted(requests: readonly RunRequest[], startedMs: number, runMs: number): void {
    this.#counts?.executed();
    for (const { rows, queuedMs } of requests) this.#counts?.succeeded({ rows, queuedMs, startedMs, runMs });
    if (requests.some(({ priority }) => priority === 'watch')) return;
    const rows = requests.reduce((sum, request) => sum + request.rows, 0);
    this.#metrics.andon_inference_batch_rows.observe({ model: this.label }, rows);
  }

  /** @param queuedMs Monotonic time at which the request was made. */
  noteFailed(queuedMs: number): void {
    this.#counts?.failed(queuedMs);
  }

  /** Asks for the active version to be looked up at the next load, even if the host is lost before. */
  lookAgain(): void {
    this.#lookAgain = true;
    const before = this.#settled;
    this.#settled = Promise.withResolvers<void>();
    // Who waits already waits for this load too: the one under way may be given up for it.
    void this.#settled.promise.then(before.resolve);
  }

  /** The version to load; undefined where it is to be looked up. A host that is replaced must not change it by the way. */
  takeKnown(): StoredModel | undefined {
    const known = this.#lookAgain ? undefined : this.#stored;
    this.#lookAgain = false;
    return known;
  }

  /** The version that last became ready. */
  get stored(): StoredModel | undefined {
    return this.#stored;
  }

  get state(): ModelStatus['state'] {
    return this.remote === undefined ? this.#state : this.remote.ready === undefined ? 'failed' : 'ready';
  }

  get reason(): string {
    return this.#reason;
  }

  /** Where it runs, of a version that runs on a server. */
  get remote(): RemoteModel | undefined {
    return this.#host instanceof RemoteModel ? this.#host : undefined;
  }

  get hostName(): string {
    return this.#hostName;
  }

  /** Providers given up since the start, and why. */
  get givenUp(): ReadonlyMap<string, string> {
    return this.#givenUp;
  }

  /** What would judge now, in this host or on a server; undefined where nothing can. */
  ready(host: HostProcess | undefined): ServedModel | undefined {
    return this.remote === undefined ? this.readyIn(host) : this.remote.ready;
  }

  /** The model as it runs in this host; undefined where it does not. */
  readyIn(host: HostProcess | undefined): ServedModel | undefined {
    return host !== undefined && host === this.#host ? this.#ready : undefined;
  }

  /** @param host The one that can be asked: a model that is ready in another, which is on its way out, loads again. */
  status(host: HostProcess | undefined): ModelStatus {
    const { name, version } = this.reference;
    if (this.remote !== undefined) return this.#remoteStatus(this.remote);
    const leaving = this.#state === 'ready' && this.readyIn(host) === undefined;
    return {
      name,
      version: (this.#ready === undefined ? this.#attempted : this.#stored?.version) ?? version ?? 0,
      state: leaving ? 'loading' : this.#state,
      reason: leaving ? 'the inference host is being replaced' : this.#reason,
      provider: this.#ready?.judgedBy.provider,
      fallbacks: this.#ready?.judgedBy.fallbacks ?? [...this.#givenUp].map(fallback),
    };
  }

  /** For whoever wants to run it while it cannot. */
  notReady(host: HostProcess | undefined): OperatingError {
    const { state, reason } = this.status(host);
    return inferenceFailure('model-not-ready', `Model '${this.label}' is ${state}: ${reason}`);
  }

  /** Runs that waited for a host in which the model does not run any more: its server has them, or nobody. */
  turnAway(requests: readonly RunRequest[], host: HostProcess): void {
    const { remote } = this;
    for (const { inputs, priority, resolve, reject } of requests)
      if (remote === undefined) reject(this.notReady(host));
      else void remote.run(inputs, priority).then(resolve, reject);
  }

  becomeReady(
    stored: StoredModel,
    session: Pick<ProvidedSession, 'loaded' | 'fallbacks'> & { readonly provider: { readonly name: string } },
    host: HostProcess | RemoteModel,
  ): void {
    const { provider, fallbacks, loaded } = session;
    this.#clearProviderInfo();
    this.#stored = stored;
    this.#moveTo(host);
    this.#state = 'ready';
    this.#reason = '';
    this.#ready = {
      manifest: stored.manifest,
      inputs: loaded.inputs,
      outputs: loaded.outputs,
      judgedBy: { model: stored.name, version: stored.version, provider: provider.name, fallbacks },
    };
    this.#serving = servingOf(this.#config, stored.manifest);
    this.#batching = loaded.batching;
    if (this.#counts?.version !== stored.version)
      this.#counts = new ModelCounts(stored, this.#deps.clock, this.#nvMetrics);
    this.#settle();
    this.#metrics.andon_inference_provider_info.set(this.#providerLabels(this.#ready), 1);
    const fields = { model: this.label, version: stored.version, provider: provider.name, fallbacks };
    const { largestDifference, vectors } = loaded.golden;
    const detail = { host: this.#hostName, nodes: loaded.nodesByProvider, goldenDifference: largestDifference };
    this.#deps.log.info({ ...fields, ...detail, signedBy: stored.signedBy }, 'Model ready.');
    if (this.#givenUp.size > 0) this.#health.report('degraded', `on ${provider.name}; ${fallbackText(fallbacks)}`);
    // The list of providers says what is acceptable: a later one is not a fault, but it is never silent.
    else {
      this.#remark = [
        ...(vectors === 0 ? [UNVERIFIED] : []),
        ...(fallbacks.length === 0 ? [] : [`on ${provider.name}; ${fallbackText(fallbacks)}`]),
      ].join('; ');
      this.#health.report('ok', this.#remark);
    }
  }

  /**
   * The version to run is on a server: it is tried there, and what runs goes on until it is proved. One that is there
   * already is tried anew where it is not well.
   */
  connect(stored: StoredModel, make: () => RemoteModel): void {
    if (this.#removed) return;
    const isThis = (remote: RemoteModel | undefined): remote is RemoteModel =>
      remote?.stored.version === stored.version && remote.stored.sha256 === stored.sha256;
    if (isThis(this.#coming)) return void this.#coming.retry();
    this.#dropComing();
    if (isThis(this.remote)) return this.remote.retry() ? undefined : this.#settle();
    this.#coming = make();
    this.#coming.start();
  }

  /**
   * What a remote version has to say of itself. One that is to take over does so only once it is proved, unless nothing
   * runs that could go on.
   */
  noteRemote(remote: RemoteModel, state: 'ok' | 'degraded' | 'failed', reason: string): void {
    if (remote !== this.#coming && remote !== this.#host) return;
    if (remote === this.#coming && this.#mayGoOn) return this.#goOn(reason);
    if (remote === this.#coming) this.#moveTo(remote);
    this.#reason = reason;
    this.#settle();
    this.#health.report(state, state === 'ok' ? this.#remark : reason);
  }

  /**
   * A model that failed or was set aside gets one more try; its health stays what it was until that has ended.
   *
   * @returns False where it did neither, and stays as it is.
   */
  retry(): boolean {
    if (this.#state !== 'failed' && this.#state !== 'quarantined') return false;
    this.#state = 'loading';
    // What is on disk may have been put right meanwhile.
    this.#lookAgain = true;
    return true;
  }

  /** The version whose loading is about to be tried. */
  noteAttempt(version: number): void {
    this.#attempted = version;
  }

  /** The version on disk is the one that runs. */
  unchanged(): void {
    this.#dropComing();
    this.#settle();
  }

  /** A newer version could not be loaded; the one that runs goes on. */
  keep(error: unknown): void {
    this.#countRefusal(error);
    this.#dropComing();
    this.#goOn(loadFailureText(error));
  }

  /** The model itself cannot run; it is tried again slowly. */
  fail(error: unknown): void {
    const reason = loadFailureText(error);
    this.#countRefusal(error);
    this.#leave('failed', reason);
    this.#health.report('failed', reason);
  }

  /** The host is away; it loads again by itself. */
  lose(reason: string): void {
    if (this.remote !== undefined) return;
    if (this.#state === 'failed' || this.#state === 'quarantined') return;
    this.#leave('loading', reason);
    this.#health.report('degraded', reason);
  }

  /**
   * It took the host down.
   *
   * @param provider What it was loading or running on.
   * @returns Whether the model is now set aside.
   */
  noteCrash(provider: string | undefined, reason: string): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const { crashes, period } = this.#config.quarantine;
    this.#crashesMs = [...this.#crashesMs.filter((timeMs) => nowMs - timeMs < period), nowMs];
    const count = this.#crashesMs.length;
    const text = `took the host down ${count} times within ${formatDuration(period)}, last: ${reason}`;
    if (provider !== undefined && this.#mayFallBackFrom(provider) && count >= PROVIDER_CRASHES_MAX) {
      this.#givenUp.set(provider, text);
      // The next provider is not to answer for this one.
      this.#crashesMs = [];
      return false;
    }
    if (count < crashes) return false;
    // One more crash after the next try is enough to set it aside again.
    this.#crashesMs = this.#crashesMs.slice(count - (crashes - 1));
    this.#metrics.andon_model_quarantines_total.inc({ model: this.label });
    this.#leave('quarantined', text);
    this.#health.report('failed', `quarantined: ${text}`);
    return true;
  }

  /** @returns Whether the device behind the provider looks lost, so that the host must be replaced. */
  noteRun(succeeded: boolean): boolean {
    this.#failedRuns = succeeded || this.#ready?.judgedBy.provider === 'cpu' ? 0 : this.#failedRuns + 1;
    if (this.#failedRuns < PROVIDER_FAILURES_MAX) return false;
    this.#failedRuns = 0;
    return true;
  }

  remove(): void {
    this.#removed = true;
    this.remote?.close();
    this.#moveTo(undefined);
    this.#clearProviderInfo();
    this.#health.remove();
    this.#settle();
  }

  #mayFallBackFrom(provider: string): boolean {
    const { providers } = this;
    const index = providers.findIndex(({ name }) => name === provider);
    return provider !== 'cpu' && index >= 0 && index < providers.length - 1 && providers[index]?.required === false;
  }

  #leave(state: ModelStatus['state'], reason: string): void {
    this.#clearProviderInfo();
    this.#state = state;
    this.#reason = reason;
    this.#ready = undefined;
    this.#moveTo(undefined);
    this.#failedRuns = 0;
    if (state === 'failed' || state === 'quarantined') this.#settle();
  }

  #remoteStatus({ stored, ready }: RemoteModel): ModelStatus {
    return {
      name: this.reference.name,
      version: stored.version,
      state: this.state,
      reason: ready === undefined ? this.#reason : '',
      provider: ready?.judgedBy.provider,
      fallbacks: ready?.judgedBy.fallbacks ?? [],
    };
  }

  /** Whether another version runs, or does so again once its host is back. */
  get #mayGoOn(): boolean {
    return this.#ready !== undefined || (this.#stored !== undefined && this.#state === 'loading');
  }

  /** The version now active cannot be used; the one that runs goes on. */
  #goOn(reason: string): void {
    this.#settle();
    const version = this.#stored?.version ?? 0;
    this.#health.report('degraded', `version ${version} goes on; the one now active could not be loaded: ${reason}`);
  }

  /** Lets go of the server that it ran on, and of one that was to take over. */
  #moveTo(host: HostProcess | RemoteModel | undefined): void {
    const { remote } = this;
    this.#host = host;
    if (remote !== host) remote?.leave();
    if (this.#coming === host) this.#coming = undefined;
    this.#dropComing();
  }

  #dropComing(): void {
    this.#coming?.close();
    this.#coming = undefined;
  }

  #countRefusal(error: unknown): void {
    if (errorCode(error) === 'model-untrusted') this.#metrics.andon_model_untrusted_total.inc({ model: this.label });
  }

  #settle(): void {
    this.#settled.resolve();
  }

  #clearProviderInfo(): void {
    if (this.#ready === undefined) return;
    this.#metrics.andon_inference_provider_info.remove(this.#providerLabels(this.#ready));
  }

  #providerLabels({ judgedBy }: ServedModel) {
    const { version, provider } = judgedBy;
    return { model: this.label, version: String(version), provider, host: this.#hostName };
  }
}

function fallback([provider, reason]: readonly [string, string]): ProviderFallback {
  return { provider, reason };
}
