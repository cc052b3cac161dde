import type { TrainingRows } from './training-rows.ts';

/** Maximum number of rows used; a longer run is thinned evenly, which costs resolution only. */
const ROWS_LOOKED_AT = 2000;

/**
 * Returns the autocorrelation time of the slowest tag, in rows: the first lag with an autocorrelation below 1/e in the
 * longest run.
 *
 * @returns At least 1; the length of the run if the autocorrelation stays above 1/e. Constant tags are ignored.
 */
export function slowestAutocorrelationRows(segments: readonly TrainingRows[]): number {
  const longest = segments.reduce<TrainingRows | undefined>(
    (best, segment) => (best === undefined || segment.count > best.count ? segment : best),
    undefined,
  );
  if (longest === undefined) return 1;
  const thinning = Math.max(1, Math.floor(longest.count / ROWS_LOOKED_AT));
  let slowest = 1;
  for (let tag = 0; tag < longest.tags; tag += 1) {
    slowest = Math.max(slowest, thinning * autocorrelationLag(tagValues(longest, tag, thinning)));
  }
  return Math.min(slowest, longest.count);
}

function tagValues({ count, tags, values }: TrainingRows, tag: number, thinning: number): Float64Array {
  const length = Math.floor(count / thinning);
  const picked = Float64Array.from({ length }, (_, index) => values[index * thinning * tags + tag] ?? 0);
  const mean = picked.reduce((sum, value) => sum + value, 0) / length;
  return picked.map((value) => value - mean);
}

function autocorrelationLag(centred: Float64Array): number {
  const power = centred.reduce((sum, value) => sum + value * value, 0);
  if (power === 0) return 0;
  for (let lag = 1; lag < centred.length; lag += 1) {
    let product = 0;
    for (let row = lag; row < centred.length; row += 1) product += (centred[row] ?? 0) * (centred[row - lag] ?? 0);
    if (product < power / Math.E) return lag;
  }
  return centred.length;
}
