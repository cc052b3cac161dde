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
