/**
 * Quantile with linear interpolation between the two nearest values (Hyndman and Fan's type 7, numpy's default).
 *
 * @param share 0 gives the smallest value, 1 the largest.
 * @returns NaN for no values.
 * @see Hyndman and Fan, Sample Quantiles in Statistical Packages, The American Statistician 50(4), 1996.
 */
export function quantile(values: Float64Array, share: number): number {
  const sorted = values.toSorted();
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** Returns the mean; NaN for no values. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += values[index] ?? 0;
  return sum / values.length;
}

/** Returns the mean and the population deviation, in two passes: a large offset costs no digits. */
export function moments(values: ArrayLike<number>): { readonly mean: number; readonly deviation: number } {
  const centre = mean(values);
  let squares = 0;
  for (let index = 0; index < values.length; index += 1) squares += ((values[index] ?? 0) - centre) ** 2;
  return { mean: centre, deviation: Math.sqrt(squares / values.length) };
}

/** Returns the index of the largest value, the first of equals; 0 for no values. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  return best;
}

/** Returns the share of each part in the sum of all parts; 0 for all if the sum is 0. */
export function sharesOf(parts: Float64Array): Float64Array {
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => (total > 0 ? part / total : 0));
}

/** Rounds to significant digits. */
export function rounded(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}

/** Returns one column of row-major values. */
export function columnOf(values: Float64Array, columns: number, column: number): Float64Array {
  return Float64Array.from({ length: values.length / columns }, (_, row) => values[row * columns + column] ?? 0);
}

/** Returns all parts as one array. */
export function concatenated(parts: readonly Float64Array[]): Float64Array {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

/** 97.5 % quantile of a standard normal distribution. */
const NORMAL_QUANTILE_975 = 1.96;

/**
 * Returns the 95 % interval of the expected number of events, given the number that was counted.
 *
 * @see Garwood, Fiducial Limits for the Poisson Distribution, Biometrika 28, 1936; with the approximation of the chi-square
 *   quantile by Wilson and Hilferty, PNAS 17, 1931, which is within 1 % for 3 or more and within 0.05 for fewer.
 */
export function poissonInterval(count: number): { readonly low: number; readonly high: number } {
  const bound = (events: number, sign: 1 | -1) =>
    events * (1 - 1 / (9 * events) + (sign * NORMAL_QUANTILE_975) / (3 * Math.sqrt(events))) ** 3;
  return { low: count === 0 ? 0 : bound(count, -1), high: bound(count + 1, 1) };
}
