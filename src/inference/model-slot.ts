import type { ModelReference } from '../domain/model-reference.ts';
import { formatModelReference } from '../domain/model-reference.ts';
import type { ModelStatus, ReadyModel } from '../contracts/inference.ts';
import type { ProviderFallback } from '../domain/verdict.ts';
import { formatDuration } from '../domain/duration.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { MetricsOf } from '../platform/metrics.ts';
import type { HostProcess } from './host-process.ts';
import type { inferenceMetrics } from './inference-metrics.ts';
import type { StoredModel } from './model-directory.ts';
import type { ModelsConfig } from './models-config.ts';
import type { ProvidedSession } from './provider-order.ts';
import { fallbackText } from './provider-order.ts';

/** Times that a GPU may take the host down, within the quarantine's period, before the next provider is used. */
const PROVIDER_CRASHES_MAX = 2;
/** Runs that may fail one after another on a GPU before the host is replaced: a lost device does not come back in place. */
const PROVIDER_FAILURES_MAX = 3;

/** One configured model: where it stands, what it runs on, and what it did to the host. */
export class ModelSlot {
  readonly reference: ModelReference;
  /** As its watch names it; the key of its session in the host. */
  readonly label: string;
  readonly #config: ModelsConfig;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof inferenceMetrics>;
  readonly #health: ComponentHealth;
  readonly #givenUp = new Map<string, string>();
  #state: ModelStatus['state'] = 'loading';
  #reason = 'not loaded yet';
  #stored: StoredModel | undefined;
  #ready: ReadyModel | undefined;
  #host: HostProcess | undefined;
  /** Monotonic times of crashes within the period. */
  #crashesMs: readonly number[] = [];
  #failedRuns = 0;
  #lookAgain = true;

  constructor(
    reference: ModelReference,
    config: ModelsConfig,
    deps: Deps,
    metrics: MetricsOf<typeof inferenceMetrics>,
  ) {
    this.reference = reference;
    this.label = formatModelReference(reference);
    this.#config = config;
    this.#deps = deps;
    this.#metrics = metrics;
    this.#health = deps.health.component(`model/${this.label}`);
  }

  /** Asks for the active version to be looked up at the next load, even if the host is lost before. */
  lookAgain(): void {
    this.#lookAgain = true;
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
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  /** Providers given up since the start, and why. */
  get givenUp(): ReadonlyMap<string, string> {
    return this.#givenUp;
  }

  /** The model as it runs in this host; undefined where it does not. */
  readyIn(host: HostProcess | undefined): ReadyModel | undefined {
    return host !== undefined && host === this.#host ? this.#ready : undefined;
  }

  /** @param host The one that can be asked: a model that is ready in another, which is on its way out, loads again. */
  status(host: HostProcess | undefined): ModelStatus {
    const { name, version } = this.reference;
    const leaving = this.#state === 'ready' && this.readyIn(host) === undefined;
    return {
      name,
      version: this.#stored?.version ?? version ?? 0,
      state: leaving ? 'loading' : this.#state,
      reason: leaving ? 'the inference host is being replaced' : this.#reason,
      provider: this.#ready?.judgedBy.provider,
      fallbacks: this.#ready?.judgedBy.fallbacks ?? [...this.#givenUp].map(fallback),
    };
  }

  becomeReady(stored: StoredModel, session: ProvidedSession, host: HostProcess): void {
    const { provider, fallbacks, loaded } = session;
    this.#clearProviderInfo();
    this.#stored = stored;
    this.#host = host;
    this.#state = 'ready';
    this.#reason = '';
    this.#ready = {
      manifest: stored.manifest,
      inputs: loaded.inputs,
      outputs: loaded.outputs,
      judgedBy: { model: stored.name, version: stored.version, provider: provider.name, fallbacks },
    };
    this.#metrics.andon_inference_provider_info.set(this.#providerLabels(this.#ready), 1);
    const fields = { model: this.label, version: stored.version, provider: provider.name, fallbacks };
    const detail = { nodes: loaded.nodesByProvider, goldenDifference: loaded.golden.largestDifference };
    this.#deps.log.info({ ...fields, ...detail }, 'Model ready.');
    if (this.#givenUp.size > 0) this.#health.report('degraded', `on ${provider.name}; ${fallbackText(fallbacks)}`);
    // The list of providers says what is acceptable: a later one is not a fault, but it is never silent.
    else this.#health.report('ok', fallbacks.length === 0 ? '' : `on ${provider.name}; ${fallbackText(fallbacks)}`);
  }

  /** A model that failed or was set aside gets one more try; its health stays what it was until that has ended. */
  retry(): void {
    this.#state = 'loading';
    // What is on disk may have been put right meanwhile.
    this.#lookAgain = true;
  }

  /** A newer version could not be loaded; the one that runs goes on. */
  keep(reason: string): void {
    const version = this.#stored?.version ?? 0;
    this.#health.report('degraded', `version ${version} goes on; the one now active could not be loaded: ${reason}`);
  }

  /** The model itself cannot run; it is tried again slowly. */
  fail(reason: string): void {
    this.#leave('failed', reason);
    this.#health.report('failed', reason);
  }

  /** The host is away; it loads again by itself. */
  lose(reason: string): void {
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
    this.#clearProviderInfo();
    this.#health.remove();
  }

  #mayFallBackFrom(provider: string): boolean {
    const providers = this.#config.executionProviders;
    const index = providers.findIndex(({ name }) => name === provider);
    return provider !== 'cpu' && index >= 0 && index < providers.length - 1 && providers[index]?.required === false;
  }

  #leave(state: ModelStatus['state'], reason: string): void {
    this.#clearProviderInfo();
    this.#state = state;
    this.#reason = reason;
    this.#ready = undefined;
    this.#host = undefined;
    this.#failedRuns = 0;
  }

  #clearProviderInfo(): void {
    if (this.#ready === undefined) return;
    this.#metrics.andon_inference_provider_info.remove(this.#providerLabels(this.#ready));
  }

  #providerLabels({ judgedBy }: ReadyModel) {
    return { model: this.label, version: String(judgedBy.version), provider: judgedBy.provider };
  }
}

function fallback([provider, reason]: readonly [string, string]): ProviderFallback {
  return { provider, reason };
}
