import type { EpochMs } from '../domain/epoch-ms.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';

/** One tag's samples as columns, oldest first; lengths are equal. */
export type TagSeries = { readonly tag: string; readonly timesMs: Float64Array; readonly values: Float64Array };

/** The box's own historian: good samples by tag and time, for charts, training and backtests. */
export interface SampleHistory {
  /** Adds the good samples of a gated batch; copies them. A crash loses at most the last few seconds. */
  add(batch: SampleBatch): void;
  /** Samples in [fromMs, toMs], thinned evenly to at most `limit` a tag; limit undefined gives all. */
  read(tags: readonly string[], fromMs: EpochMs, toMs: EpochMs, limit?: number): Promise<readonly TagSeries[]>;
}
