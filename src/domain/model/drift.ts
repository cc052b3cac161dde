/** Distribution of the values of a tag, or of the scores, in training: the shares of the bins between `edges`. */
export type Distribution = {
  /** Ascending, without duplicates. Bin 0 is below the first edge. A value on an edge belongs to the bin above it. */
  readonly edges: readonly number[];
  /** One more than edges. They add up to 1. */
  readonly shares: readonly number[];
};

/** Index above which a shift counts as major. Below 0.1 it is negligible. */
export const MAJOR_DRIFT = 0.25;

/** Added to the count of every bin, so that an empty bin gives a large index instead of infinity. */
const SMOOTHING = 0.5;

/** Returns the bin of a value: the number of edges at or below it. */
export function distributionBin({ edges }: Distribution, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edges[middle] ?? Infinity) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Returns the distribution of values, with bins at their deciles. Equal deciles become one edge.
 * @param values At least one, finite.
 */
export function distributionOf(values: Float64Array): Distribution {
  const sorted = values.toSorted();
  const deciles = Array.from({ length: 9 }, (_, index) => sorted[Math.floor(((index + 1) * sorted.length) / 10)] ?? 0);
  const edges = [...new Set(deciles)].filter((edge) => edge > (sorted[0] ?? edge));
  const counts = new Float64Array(edges.length + 1);
  const shell = { edges, shares: [] };
  for (const value of sorted) {
    const bin = distributionBin(shell, value);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { edges, shares: Array.from(counts, (count) => count / sorted.length) };
}

/**
 * Returns the population stability index of counted values against the training distribution: Σ (p − q)·ln(p/q).
 *
 * @param counts One for each bin of `reference`.
 * @returns 0 for the same distribution. Above `MAJOR_DRIFT` the distributions differ strongly.
 * @see Siddiqi, Credit Risk Scorecards (2006), chapter 8: system stability report.
 */
export function populationStabilityIndex(counts: Float64Array, reference: Distribution): number {
  const total = counts.reduce((sum, count) => sum + count, 0) + SMOOTHING * counts.length;
  return reference.shares.reduce((index, share, bin) => {
    const now = ((counts[bin] ?? 0) + SMOOTHING) / total;
    const then = Math.max(share, SMOOTHING / total);
    return index + (now - then) * Math.log(now / then);
  }, 0);
}
