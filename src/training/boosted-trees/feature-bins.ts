import { columnOf } from '../core/statistics.ts';
import type { FeatureRows } from '../core/window-features.ts';

/** Maximum number of bins of a feature; a bin must fit a byte, and the cost of a split grows with the bins. */
const BINS_MAX = 64;

/**
 * Features cut into bins: splits are searched between bins, not between values.
 *
 * Value ≤ edges[bin] and, except for the first bin, value > edges[bin − 1]. Edges are float32 like the values, so that a
 * tree takes the same branch in the graph as here.
 */
export type FeatureBins = {
  readonly count: number;
  readonly features: number;
  /** Largest number of bins of a feature. */
  readonly binsMost: number;
  /** Shape [features, count]: a tree reads one feature of many rows at a time. */
  readonly bins: Uint8Array;
  /** Edges of each feature, ascending; one fewer than its bins. */
  readonly edges: readonly Float64Array[];
};

export function binFeatures(rows: FeatureRows): FeatureBins {
  const { count, features, values } = rows;
  const bins = new Uint8Array(features * count);
  const edges = Array.from({ length: features }, (_, feature) => {
    const column = columnOf(values, features, feature);
    const cuts = binEdges(column);
    for (let row = 0; row < count; row += 1) bins[feature * count + row] = binOf(column[row] ?? 0, cuts);
    return cuts;
  });
  const binsMost = edges.reduce((most, { length }) => Math.max(most, length + 1), 1);
  return { count, features, binsMost, bins, edges };
}

/** Halfway between neighbouring values, so that each bin holds about as many rows as the next. */
function binEdges(column: Float64Array): Float64Array {
  const sorted = column.toSorted();
  const edges: number[] = [];
  const rowsPerBin = new Set(sorted).size <= BINS_MAX ? 0 : sorted.length / BINS_MAX;
  let from = 0;
  for (let row = 1; row < sorted.length; row += 1) {
    const below = sorted[row - 1] ?? 0;
    const above = sorted[row] ?? 0;
    if (above === below || row - from < rowsPerBin || edges.length === BINS_MAX - 1) continue;
    edges.push(float32Between(below, above));
    from = row;
  }
  return Float64Array.from(edges);
}

/** Returns a float32 that is at least `below` and less than `above`, near their middle. */
function float32Between(below: number, above: number): number {
  const middle = Math.fround(below / 2 + above / 2);
  return middle >= below && middle < above ? middle : below;
}

function binOf(value: number, edges: Float64Array): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= (edges[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}
