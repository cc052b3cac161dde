import type { Deps } from '../../platform/deps.ts';
import { errorCode } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import type { MetricsOf } from '../../platform/metrics.ts';
import type { ProvidedSession } from './provider-order.ts';
import { fallbackText } from './provider-order.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';

/** Said in its health and in the repository of a model that has no golden vectors. */
export const UNVERIFIED = 'unverified: it has no golden vectors';

/** A version as a host or its server proved it. */
export type ReadySession = Pick<ProvidedSession, 'loaded' | 'fallbacks'> & {
  readonly provider: { readonly name: string };
};

export type ModelReportOptions = {
  /** As its watch names it. */
  readonly label: string;
  /** Under which it reports: `model/pump-anomaly`. */
  readonly component: string;
  /** Name of the host that it runs in. */
  readonly host: string;
  readonly deps: Deps;
};

type Trouble = { readonly state: 'degraded' | 'failed'; readonly reason: string };

/** What health, log and metrics say of one model. */
export class ModelReport {
  readonly #label: string;
  readonly #hostName: string;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof inferenceMetrics>;
  readonly #health: ComponentHealth;
  /** Of the version that runs: labels, and what there is to remark on it. */
  #labels: Readonly<Record<'model' | 'version' | 'provider' | 'host', string>> | undefined;
  #remark: Trouble | { readonly state: 'ok'; readonly reason: string } = { state: 'ok', reason: '' };
  /** Why the version that is now active does not run; '' where it does. */
  #refusal = '';
  /** What a remote version that is used has to complain of. */
  #trouble: Trouble | undefined;

  constructor(options: ModelReportOptions) {
    this.#label = options.label;
    this.#hostName = options.host;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
    this.#health = options.deps.health.component(options.component);
  }

  get refusal(): string {
    return this.#refusal;
  }

  /**
   * A version runs.
   *
   * @param as `isOther`: it is the one that was to take over. `isFault`: it should run on an earlier provider, which was given
   *   up; that it merely is not the first of the list is no fault, but never silent. `isNews`: the log is to have it.
   */
  runs(
    stored: StoredModel,
    session: ReadySession,
    as: Readonly<Record<'isOther' | 'isFault' | 'isNews', boolean>>,
  ): void {
    const { provider, fallbacks, loaded } = session;
    const { version, signedBy } = stored;
    this.#clearProviderInfo();
    this.#labels = { model: this.#label, version: String(version), provider: provider.name, host: this.#hostName };
    this.#metrics.andon_inference_provider_info.set(this.#labels, 1);
    const fallbackRemark = fallbacks.length === 0 ? [] : [`on ${provider.name}; ${fallbackText(fallbacks)}`];
    const unverified = loaded.golden.vectors === 0 ? [UNVERIFIED] : [];
    this.#remark = as.isFault
      ? { state: 'degraded', reason: fallbackRemark.join() }
      : { state: 'ok', reason: [...unverified, ...fallbackRemark].join('; ') };
    this.#trouble = undefined;
    if (as.isOther) this.#refusal = '';
    this.#tell();
    if (!as.isNews) return;
    const fields = { model: this.#label, version, provider: provider.name, fallbacks, signedBy };
    const proof = { nodes: loaded.nodesByProvider, goldenDifference: loaded.golden.largestDifference };
    this.#deps.log.info({ ...fields, host: this.#hostName, ...proof }, 'Model ready.');
  }

  /** No version runs now: 'degraded' where the one that did is about to come back. */
  away(state: 'degraded' | 'failed', reason: string): void {
    this.#clearProviderInfo();
    this.#trouble = undefined;
    if (state === 'failed') this.#refusal = '';
    this.#health.report(state, reason);
  }

  /** The version that is now active is not used; another goes on. */
  refuse(refusal: string): void {
    this.#refusal = refusal;
    this.#tell();
  }

  /** The version that runs, or is about to, is the one that should. */
  accept(): void {
    this.#refusal = '';
    this.#tell();
  }

  /** What a server says of a version that is used; undefined where it is well. */
  trouble(trouble: Trouble | undefined): void {
    this.#trouble = trouble;
    this.#tell();
  }

  /** A version, or one that was to become active, was not trusted. */
  noteError(error: unknown): void {
    if (errorCode(error) === 'model-untrusted') this.#metrics.andon_model_untrusted_total.inc({ model: this.#label });
  }

  noteQuarantine(): void {
    this.#metrics.andon_model_quarantines_total.inc({ model: this.#label });
  }

  remove(): void {
    this.#clearProviderInfo();
    this.#health.remove();
  }

  #tell(): void {
    const { state, reason } = this.#trouble ?? this.#remark;
    if (this.#refusal === '') this.#health.report(state, reason);
    else if (this.#trouble === undefined) this.#health.report('degraded', this.#refusal);
    else this.#health.report(state, `${reason}; ${this.#refusal}`);
  }

  #clearProviderInfo(): void {
    if (this.#labels !== undefined) this.#metrics.andon_inference_provider_info.remove(this.#labels);
    this.#labels = undefined;
  }
}
