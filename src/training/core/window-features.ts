import { columnOf, mean, moments } from './statistics.ts';
import type { TrainingRows } from './training-rows.ts';

/** Features of each tag for labelled rows: the value, or mean, spread and drift of a window. */
const FEATURES_PER_TAG = 3;

/** One row for each full window, oldest first; feature = tag · (features of a tag) + which. Float32 values. */
export type FeatureRows = { readonly count: number; readonly features: number; readonly values: Float64Array };

/**
 * Returns the features of every full window.
 *
 * A window of one row gives its values. A longer window gives for each tag the mean, the population deviation and the
 * drift: the mean of the newer half minus the mean of the older half (the middle row of an odd window is in neither).
 *
 * Computed in doubles and rounded to float32 at the end, here and in the graph: sums in a different order then give the
 * same float32, and a tree takes the same branch.
 */
export function windowFeatures(rows: TrainingRows, windowRows: number): FeatureRows {
  const { tags, values } = rows;
  const count = Math.max(rows.count - windowRows + 1, 0);
  if (windowRows === 1) return { count, features: tags, values: values.map(Math.fround) };
  const features = tags * FEATURES_PER_TAG;
  const found = new Float64Array(count * features);
  for (let tag = 0; tag < tags; tag += 1) {
    const column = columnOf(values, tags, tag).map(Math.fround);
    for (let first = 0; first < count; first += 1) {
      found.set(summary(column.subarray(first, first + windowRows)), first * features + tag * FEATURES_PER_TAG);
    }
  }
  return { count, features, values: found };
}

function summary(window: Float64Array): readonly number[] {
  const half = Math.floor(window.length / 2);
  const { mean: centre, deviation } = moments(window);
  const drift = mean(window.subarray(window.length - half)) - mean(window.subarray(0, half));
  return [Math.fround(centre), Math.fround(deviation), Math.fround(drift)];
}
