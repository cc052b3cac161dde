import type { Verdict } from '../domain/alarm/verdict.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';

/** One tag's samples as columns, oldest first; lengths are equal. */
export type TagSeries = { readonly tag: string; readonly timesMs: Float64Array; readonly values: Float64Array };

/** Span of one entry of a rollup, in milliseconds. */
export const rollupSpansMs = { '1m': 60_000, '1h': 3_600_000 } as const;
export type RollupResolution = keyof typeof rollupSpansMs;

/**
 * The minutes or hours of a tag, or of the scores of a watch, as columns of equal length, oldest first. Spans without a sample
 * are missing.
 */
export type Rollup = {
  readonly tag: string;
  /** Begin of each span; spans begin at whole minutes or hours of UTC. */
  readonly timesMs: Float64Array;
  /** NaN if no sample of the span was good. So are `maxima` and `means`. */
  readonly minima: Float64Array;
  readonly maxima: Float64Array;
  /** Mean of the good samples, each with the same weight. */
  readonly means: Float64Array;
  /** Number of good samples. */
  readonly counts: Float64Array;
  /** Quality of the last sample: a QualityCode. */
  readonly qualities: ArrayLike<number>;
};

/** The box's own historian: good samples by tag and time, for charts, training and backtests. */
export interface SampleHistory {
  /** Adds the samples of a gated batch; copies them. A crash loses at most the last few seconds. */
  add(batch: SampleBatch): void;
  /** Adds the score of a verdict, as the series `scoreSeries(watch)`. A verdict without a score is a bad sample. */
  addScore(verdict: Pick<Verdict, 'watch' | 'timestampMs' | 'score'>): void;
  /** Good samples in [fromMs, toMs], thinned evenly to at most `limit` a tag; limit undefined gives all. */
  read(tags: readonly string[], fromMs: EpochMs, toMs: EpochMs, limit?: number): Promise<readonly TagSeries[]>;
  /** Rollups of the spans that begin in [fromMs, toMs], for tags and for series of scores. */
  rollups(
    tags: readonly string[],
    fromMs: EpochMs,
    toMs: EpochMs,
    resolution: RollupResolution,
  ): Promise<readonly Rollup[]>;
}

/** First part of the names of score series. No tag name contains '/'. */
const SCORE = 'score/';

/** Returns the name under which the history keeps the scores of a watch. */
export function scoreSeries(watch: string): string {
  return `${SCORE}${watch}`;
}

/** Returns true for the name of a series of scores. */
export function isScoreSeries(name: string): boolean {
  return name.startsWith(SCORE);
}
