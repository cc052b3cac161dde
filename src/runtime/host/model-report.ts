import type { Deps } from '../../platform/deps.ts';
import { errorCode } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import type { MetricsOf } from '../../platform/metrics.ts';
import { fallbackText } from './provider-order.ts';
import type { ReadySession } from '../remote/remote-model.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';

/** Remark in the health and the repository entry of a model without golden vectors. */
export const UNVERIFIED = 'unverified: it has no golden vectors';

export type ModelReportOptions = {
  /** Name of the model in its watch. */
  readonly label: string;
  /** Name of the health component: `model/pump-anomaly`. */
  readonly component: string;
  /** Name of the host that it runs in. */
  readonly host: string;
  readonly deps: Deps;
};

type Trouble = { readonly state: 'degraded' | 'failed'; readonly reason: string };

/** Health, log and metrics of one model. */
export class ModelReport {
  readonly #label: string;
  readonly #hostName: string;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof inferenceMetrics>;
  readonly #health: ComponentHealth;
  /** Metric labels of the version that runs. */
  #labels: Readonly<Record<'model' | 'version' | 'provider' | 'host', string>> | undefined;
  #remark: Trouble | { readonly state: 'ok'; readonly reason: string } = { state: 'ok', reason: '' };
  /** Problem that the server of the version in use reports. */
  #trouble: Trouble | undefined;

  constructor(options: ModelReportOptions) {
    this.#label = options.label;
    this.#hostName = options.host;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
    this.#health = options.deps.health.component(options.component);
  }

  /**
   * A version runs.
   *
   * @param as `isFault`: it should run on an earlier provider of the list, which was given up after crashes. A provider
   *   that is merely not the first of the list is reported, but is not a fault. `isNews`: a log line is due.
   */
  runs(
    stored: StoredModel,
    session: ReadySession,
    as: Readonly<Record<'isFault' | 'isNews', boolean>>,
    refusal: string | undefined,
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
    this.#report(refusal);
    if (!as.isNews) return;
    const fields = { model: this.#label, version, provider: provider.name, fallbacks, signedBy };
    const proof = { nodes: loaded.nodesByProvider, goldenDifference: loaded.golden.largestDifference };
    this.#deps.log.info({ ...fields, host: this.#hostName, ...proof }, 'Model ready.');
  }

  /** No version runs now: 'ok' if none was ever activated, 'degraded' if the one that ran is about to return. */
  away(state: 'ok' | 'degraded' | 'failed', reason: string): void {
    this.#clearProviderInfo();
    this.#trouble = undefined;
    this.#health.report(state, reason, state === 'ok' ? 'model-absent' : 'model-not-ready');
  }

  /** @param refusal Why the active version does not run while another does; undefined if it runs. */
  refuse(refusal: string | undefined): void {
    this.#report(refusal);
  }

  /** @param trouble Problem that the server of the version in use reports; undefined if it has none. */
  trouble(trouble: Trouble | undefined, refusal: string | undefined): void {
    this.#trouble = trouble;
    this.#report(refusal);
  }

  /** Counts a version that was not trusted. */
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

  #report(refusal: string | undefined): void {
    const { state, reason } = this.#trouble ?? this.#remark;
    if (refusal === undefined) this.#health.report(state, reason);
    else if (this.#trouble === undefined) this.#health.report('degraded', refusal, 'model-refused');
    else this.#health.report(state, `${reason}; ${refusal}`, 'model-refused');
  }

  #clearProviderInfo(): void {
    if (this.#labels !== undefined) this.#metrics.andon_inference_provider_info.remove(this.#labels);
    this.#labels = undefined;
  }
}
