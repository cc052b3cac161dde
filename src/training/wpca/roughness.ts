import { columnOf, moments } from '../core/statistics.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { trailingMean } from './trailing-mean.ts';

/** Added to the mean square, so that a tag that stands still has a finite logarithm. */
export const SQUARE_MIN = 1e-4;
/** Added to the deviation: a tag with the same roughness at all times must not alarm at the first small change. */
const DEVIATION_ADDED = 0.05;
/** Rows that a run needs beyond the trailing mean. */
const SPARE_ROWS = 5;

/**
 * Roughness of a tag: the logarithm of the mean square of its steps from row to row, over the last rows. It falls if a tag
 * is stuck, and rises if a tag is noisy. Mean and deviation in normal running, for each tag.
 */
export type Roughness = { readonly means: Float64Array; readonly deviations: Float64Array };

/** @param segments Standardised runs. */
export function fitRoughness(segments: readonly TrainingRows[], smoothingRows: number): Roughness {
  const tags = segments[0]?.tags ?? 0;
  const long = segments.filter(({ count }) => count > smoothingRows + SPARE_ROWS);
  const byTag = Array.from({ length: tags }, (_, tag) =>
    moments(
      Float64Array.from(long.flatMap((rows) => [...logRoughness(rows, tag, smoothingRows).subarray(smoothingRows)])),
    ),
  );
  return {
    means: Float64Array.from(byTag, ({ mean }) => (Number.isNaN(mean) ? 0 : mean)),
    deviations: Float64Array.from(byTag, ({ deviation }) =>
      // Without a run that is long enough, no roughness is unusual.
      Number.isNaN(deviation) ? Number.POSITIVE_INFINITY : deviation + DEVIATION_ADDED,
    ),
  };
}

/** Returns the squared distance of each tag's roughness from normal running, in deviations; shape [rows, tags]. */
export function roughnessDistances(rows: TrainingRows, { means, deviations }: Roughness, smoothingRows: number) {
  const distances = new Float64Array(rows.count * rows.tags);
  for (let tag = 0; tag < rows.tags; tag += 1) {
    for (const [row, value] of logRoughness(rows, tag, smoothingRows).entries())
      distances[row * rows.tags + tag] = ((value - (means[tag] ?? 0)) / (deviations[tag] ?? 1)) ** 2;
  }
  return distances;
}

/** Roughness of one tag at each row; the first row has no step, which counts as 0. */
function logRoughness({ values, tags }: TrainingRows, tag: number, smoothingRows: number): Float64Array {
  const column = columnOf(values, tags, tag);
  const squares = column.map((value, row) => (value - (column[row - 1] ?? value)) ** 2);
  return trailingMean(squares, smoothingRows).map((square) => Math.log(square + SQUARE_MIN));
}
