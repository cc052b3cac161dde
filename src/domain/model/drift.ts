/** How the values of a tag, or the scores, were spread in training: `shares` of the bins that `edges` cut. */
export type Distribution = {
  /** Ascending, each once. Bin 0 is below the first edge; a value on an edge belongs to the bin above it. */
  readonly edges: readonly number[];
  /** One more than edges; they add up to 1. */
  readonly shares: readonly number[];
};

/** Index above which whoever grades models takes a shift for a major one; below 0.1 there is none worth naming. */
export const MAJOR_DRIFT = 0.25;

/** Counts added to every bin, so that one that stays empty makes a large index and not an infinite one. */
const SMOOTHING = 0.5;

/** The bin of a value: how many edges are at or below it. */
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
 * Cuts values at their deciles. A tag that stands at a few values has fewer bins: equal deciles are one edge.
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
 * Population stability index of counted values against the training's distribution: Σ (p − q)·ln(p/q) over the bins.
 *
 * @param counts One a bin of `reference`.
 * @returns 0 for the same distribution; above `MAJOR_DRIFT` the two have little in common.
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
