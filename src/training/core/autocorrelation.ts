import { columnOf, mean } from './statistics.ts';
import { countRows, longestRun, type TrainingRows } from './training-rows.ts';

/** Maximum number of rows used; a longer run is thinned evenly, which costs resolution only. */
const ROWS_LOOKED_AT = 2000;

/** With fewer independent spans in the training rows, the limits are a guess. */
const INDEPENDENT_SPANS_MIN = 5;

/** Returns the training rows over the autocorrelation time of the slowest tag, and a warning if that is small. */
export function independence(segments: readonly TrainingRows[]) {
  const independentSpans = countRows(segments) / slowestAutocorrelationRows(segments);
  if (independentSpans >= INDEPENDENT_SPANS_MIN) return { independentSpans, warnings: [] };
  const seen = `The training rows see the slowest tag move only ${independentSpans.toFixed(1)} times`;
  return {
    independentSpans,
    warnings: [`${seen}: expect false alarms when it reaches new values. Train on a longer span.`],
  };
}

/**
 * Returns the autocorrelation time of the slowest tag, in rows: the first lag with an autocorrelation below 1/e in the
 * longest run.
 *
 * @returns At least 1; the length of the run if the autocorrelation stays above 1/e. Constant tags are ignored.
 */
function slowestAutocorrelationRows(segments: readonly TrainingRows[]): number {
  const longest = longestRun(segments);
  if (longest === undefined) return 1;
  const thinning = Math.max(1, Math.floor(longest.count / ROWS_LOOKED_AT));
  let slowest = 1;
  for (let tag = 0; tag < longest.tags; tag += 1) {
    slowest = Math.max(slowest, thinning * autocorrelationLag(centredValues(longest, tag, thinning)));
  }
  return Math.min(slowest, longest.count);
}

function centredValues({ tags, values }: TrainingRows, tag: number, thinning: number): Float64Array {
  const picked = columnOf(values, tags, tag).filter((_, row) => row % thinning === 0);
  const centre = mean(picked);
  return picked.map((value) => value - centre);
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
