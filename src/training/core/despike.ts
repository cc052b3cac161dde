import { quantile } from './statistics.ts';
import type { TrainingRows } from './training-rows.ts';

/** Width of the centred median, in rows: three before, the row, three after. */
const MEDIAN_ROWS = 7;
/** Robust standard deviations from the median at which a value counts as a spike. */
const SPIKE_DEVIATIONS = 5;
/** 90 % quantile of |x| of a standard normal distribution: converts the quantile to a standard deviation. */
const NORMAL_QUANTILE_90 = 1.645;

/**
 * Replaces single spikes in training rows by the median around them; never used on rows that are judged.
 *
 * The 90 % quantile as the measure of spread keeps a mostly constant tag that moves in steps (a quantised sensor)
 * unchanged: its quantile is 0, or at least its step.
 *
 * @see Hampel, The Influence Curve and its Role in Robust Estimation, JASA 69, 1974; with a quantile for the MAD.
 */
export function despike(rows: TrainingRows): TrainingRows {
  const { count, tags } = rows;
  const values = rows.values.slice();
  const medians = new Float64Array(count);
  const distances = new Float64Array(count);
  for (let tag = 0; tag < tags; tag += 1) {
    for (let row = 0; row < count; row += 1) {
      const median = medianAround(rows, row, tag);
      medians[row] = median;
      distances[row] = Math.abs((rows.values[row * tags + tag] ?? 0) - median);
    }
    const spread = quantile(distances, 0.9);
    if (!(spread > 0)) continue;
    const limit = (SPIKE_DEVIATIONS * spread) / NORMAL_QUANTILE_90;
    for (let row = 0; row < count; row += 1) {
      if ((distances[row] ?? 0) > limit) values[row * tags + tag] = medians[row] ?? 0;
    }
  }
  return { count, tags, values };
}

/** Returns the median around a row. The first and last row are repeated beyond the ends. */
function medianAround({ count, tags, values }: TrainingRows, row: number, tag: number): number {
  const half = (MEDIAN_ROWS - 1) / 2;
  const near = Float64Array.from({ length: MEDIAN_ROWS }, (_, offset) => {
    const other = Math.min(Math.max(row + offset - half, 0), count - 1);
    return values[other * tags + tag] ?? 0;
  });
  return near.sort()[half] ?? 0;
}
