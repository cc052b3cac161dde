import { gauge, type MetricCatalogue } from '../platform/metrics.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import { type Distribution, distributionBin, populationStabilityIndex } from '../domain/model/drift.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { formatDuration } from '../domain/duration.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentHealth } from '../platform/health.ts';

export const driftMetrics = {
  andon_drift_index: gauge(
    'Population stability index of a tag, or of the score (tag "score"), over the last drift period, compared with the training. Above 0.25, the data differ from the training data in a major way.',
    ['watch', 'tag'],
  ),
} as const satisfies MetricCatalogue;

/** Minimum number of judged windows for a comparison. */
const WINDOWS_MIN = 200;
/** Number of tags in a health reason. */
const NAMED_MAX = 3;

export type DriftRules = { readonly periodMs: number; readonly warn: number };

type Series = { readonly tag: string; readonly reference: Distribution; counts: Float64Array };

/**
 * Compares the values of a watch with the training data of its model, for each tag and for the score, over one period at
 * a time. Reports health `drift/<watch>`: a drifted tag is not a fault of the agent, but the model may no longer fit.
 *
 * Uses the last row of each judged window. Needs ten counters for each tag.
 */
export class DriftMonitor {
  readonly #watch: string;
  readonly #rules: DriftRules;
  readonly #gauge;
  readonly #health: ComponentHealth;
  #series: readonly Series[] = [];
  #model: ModelManifest | undefined;
  #windows = 0;
  #beganMs: EpochMs | undefined;
  /** Time that the last comparison covers, ms: the period, or longer if it had too few windows. */
  #spanMs = 0;
  #indexes: ReadonlyMap<string, number> = new Map();

  constructor(watch: string, rules: DriftRules, deps: Deps) {
    this.#watch = watch;
    this.#rules = rules;
    this.#gauge = deps.metrics.of(driftMetrics).andon_drift_index;
    this.#health = deps.health.component(`drift/${watch}`);
    this.#health.report('ok');
  }

  /** Index by tag, and by 'score', of the last full period; empty before the first ended. */
  get indexes(): ReadonlyMap<string, number> {
    return this.#indexes;
  }

  /**
   * @param tags Names of the watch's columns, in order.
   * @param lastRow Raw values, NaN for a missing one.
   * @param judged The score of estimated tags does not count: it has another distribution than the scores of the training.
   */
  observe(
    model: ModelManifest,
    tags: readonly string[],
    lastRow: Float32Array,
    judged: Pick<Verdict, 'score' | 'imputed'>,
    timestampMs: EpochMs,
  ): void {
    if (this.#model !== model) this.#begin(model, tags);
    this.#beganMs ??= timestampMs;
    this.#windows += 1;
    const score = judged.imputed === undefined ? (judged.score ?? Number.NaN) : Number.NaN;
    this.#series.forEach(({ reference, counts }, index) => {
      const value = index < tags.length ? (lastRow[index] ?? Number.NaN) : score;
      if (Number.isNaN(value) || reference.shares.length === 0) return;
      const bin = distributionBin(reference, value);
      counts[bin] = (counts[bin] ?? 0) + 1;
    });
    if (timestampMs - this.#beganMs >= this.#rules.periodMs && this.#windows >= WINDOWS_MIN)
      this.#conclude(timestampMs);
  }

  /** Removes the health and the gauges of a watch that no longer runs. */
  remove(): void {
    this.#health.remove();
    for (const { tag } of this.#series) this.#gauge.remove({ watch: this.#watch, tag });
  }

  #begin(model: ModelManifest, tags: readonly string[]): void {
    this.#model = model;
    const unknown: Distribution = { edges: [], shares: [] };
    const references = [
      ...tags.map((tag, index) => ({ tag, reference: model.tags[index]?.distribution ?? unknown })),
      { tag: 'score', reference: model.output.distribution ?? unknown },
    ];
    this.#series = references.map((entry) => ({ ...entry, counts: new Float64Array(entry.reference.shares.length) }));
    this.#windows = 0;
    this.#beganMs = undefined;
  }

  #conclude(timestampMs: EpochMs): void {
    const known = this.#series.filter(({ reference }) => reference.shares.length > 1);
    this.#indexes = new Map(
      known.map(({ tag, counts, reference }) => [tag, populationStabilityIndex(counts, reference)]),
    );
    for (const [tag, index] of this.#indexes) this.#gauge.set({ watch: this.#watch, tag }, index);
    for (const { counts } of this.#series) counts.fill(0);
    this.#windows = 0;
    this.#spanMs = timestampMs - (this.#beganMs ?? timestampMs);
    this.#beganMs = timestampMs;
    this.#report();
  }

  #report(): void {
    const drifted = [...this.#indexes].filter(([, index]) => index > this.#rules.warn).toSorted((a, b) => b[1] - a[1]);
    if (drifted.length === 0) {
      this.#health.report('ok');
      return;
    }
    const named = drifted.slice(0, NAMED_MAX).map(([tag, index]) => `${tag} (index ${index.toFixed(2)})`);
    const others = drifted.length > NAMED_MAX ? ` and ${drifted.length - NAMED_MAX} more` : '';
    const period = formatDuration(Math.round(this.#spanMs / 1000) * 1000);
    this.#health.report(
      'degraded',
      `Over the last ${period}, ${named.join(', ')}${others} differed from the training data of the model. If the machine works normally, train the model again: andon train --watch ${this.#watch}`,
      'drifted',
    );
  }
}
