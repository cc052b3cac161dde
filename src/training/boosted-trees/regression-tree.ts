import type { FeatureBins } from './feature-bins.ts';
import type { FeatureRows } from '../core/window-features.ts';

/** Numbers of a bin in a histogram: the sum of gradients, of curvatures, and the rows. */
const CELL = 3;

export type TreeSettings = {
  readonly leavesMax: number;
  readonly rowsPerLeafMin: number;
  /** Minimum sum of curvatures in a leaf: a leaf of rows that are certain already changes nothing. */
  readonly curvatureMin: number;
  /** Added to the sum of curvatures of a leaf, which draws its value to zero. */
  readonly l2: number;
  /** Times the value of each leaf. */
  readonly learningRate: number;
};

/** One node after the other, the root first. A leaf has the feature −1. */
export type RegressionTree = {
  readonly feature: Int16Array;
  /** Float32: left where value ≤ threshold. */
  readonly threshold: Float64Array;
  /** The bin's edge that the threshold is. */
  readonly bin: Int16Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Float32, of leaves. */
  readonly value: Float64Array;
};

type Leaf = {
  readonly node: number;
  readonly rows: Int32Array;
  readonly histogram: Float64Array;
  readonly split: Split | undefined;
};

type Split = { readonly gain: number; readonly feature: number; readonly bin: number };

type Growth = {
  readonly bins: FeatureBins;
  readonly features: Int32Array;
  readonly gradients: Float64Array;
  readonly curvatures: Float64Array;
  readonly settings: TreeSettings;
};

/**
 * Grows one tree on first and second derivatives of a loss, always splitting the leaf that gains the most.
 *
 * The histogram of the larger child is that of its parent minus that of the smaller child, so that each level costs at
 * most half of its rows.
 *
 * @param rows Training rows, ascending.
 * @param features Features available for splits.
 * @see Friedman, Greedy Function Approximation, Annals of Statistics 29(5), 2001; Ke et al., LightGBM, NeurIPS 2017.
 */
export function growTree(growth: Growth, rows: Int32Array): RegressionTree {
  const { settings, bins } = growth;
  const nodesMax = 2 * settings.leavesMax - 1;
  const tree = emptyTree(nodesMax);
  const leaves: Leaf[] = [leafOf(growth, 0, rows, histogramOf(growth, rows))];
  let nodes = 1;
  while (leaves.length < settings.leavesMax) {
    let best = 0;
    leaves.forEach((leaf, index) => {
      if ((leaf.split?.gain ?? 0) > (leaves[best]?.split?.gain ?? 0)) best = index;
    });
    const leaf = leaves[best];
    if (leaf?.split === undefined) break;
    const { feature, bin } = leaf.split;
    tree.feature[leaf.node] = feature;
    tree.bin[leaf.node] = bin;
    tree.threshold[leaf.node] = bins.edges[feature]?.[bin] ?? 0;
    tree.left[leaf.node] = nodes;
    tree.right[leaf.node] = nodes + 1;
    const [left, right] = divide(growth, leaf, leaf.split);
    leaves[best] = leafOf(growth, nodes, left.rows, left.histogram);
    leaves.push(leafOf(growth, nodes + 1, right.rows, right.histogram));
    nodes += 2;
  }
  for (const leaf of leaves) tree.value[leaf.node] = leafValue(growth, leaf.rows);
  return trimmed(tree, nodes);
}

/** Adds the tree's value of every row to `sums`, at `offset` of each stride. */
export function addTreeOnBins(
  tree: RegressionTree,
  { bins, count }: FeatureBins,
  sums: Float64Array,
  at: { readonly stride: number; readonly offset: number },
): void {
  for (let row = 0; row < count; row += 1) {
    let node = 0;
    for (let feature = tree.feature[0] ?? -1; feature >= 0; feature = tree.feature[node] ?? -1) {
      node = ((bins[feature * count + row] ?? 0) <= (tree.bin[node] ?? 0) ? tree.left[node] : tree.right[node]) ?? 0;
    }
    const index = row * at.stride + at.offset;
    sums[index] = (sums[index] ?? 0) + (tree.value[node] ?? 0);
  }
}

/** The same on features that were never binned. */
export function addTree(
  tree: RegressionTree,
  { values, count, features }: FeatureRows,
  sums: Float64Array,
  at: { readonly stride: number; readonly offset: number },
): void {
  for (let row = 0; row < count; row += 1) {
    let node = 0;
    for (let feature = tree.feature[0] ?? -1; feature >= 0; feature = tree.feature[node] ?? -1) {
      const value = values[row * features + feature] ?? 0;
      node = (value <= (tree.threshold[node] ?? 0) ? tree.left[node] : tree.right[node]) ?? 0;
    }
    const index = row * at.stride + at.offset;
    sums[index] = (sums[index] ?? 0) + (tree.value[node] ?? 0);
  }
}

function leafOf(growth: Growth, node: number, rows: Int32Array, histogram: Float64Array): Leaf {
  const splittable = rows.length >= 2 * growth.settings.rowsPerLeafMin;
  return { node, rows, histogram, split: splittable ? bestSplit(growth, histogram) : undefined };
}

function histogramOf({ bins, features, gradients, curvatures }: Growth, rows: Int32Array): Float64Array {
  const histogram = new Float64Array(features.length * bins.binsMost * CELL);
  for (let index = 0; index < features.length; index += 1) {
    const column = (features[index] ?? 0) * bins.count;
    const from = index * bins.binsMost * CELL;
    for (let at = 0; at < rows.length; at += 1) {
      const row = rows[at] ?? 0;
      const cell = from + (bins.bins[column + row] ?? 0) * CELL;
      histogram[cell] = (histogram[cell] ?? 0) + (gradients[row] ?? 0);
      histogram[cell + 1] = (histogram[cell + 1] ?? 0) + (curvatures[row] ?? 0);
      histogram[cell + 2] = (histogram[cell + 2] ?? 0) + 1;
    }
  }
  return histogram;
}

function bestSplit({ bins, features, settings }: Growth, histogram: Float64Array): Split | undefined {
  const { l2, rowsPerLeafMin, curvatureMin } = settings;
  const whole = totals(histogram, bins.binsMost);
  const parent = whole.gradient ** 2 / (whole.curvature + l2);
  let best: Split | undefined;
  for (let index = 0; index < features.length; index += 1) {
    const feature = features[index] ?? 0;
    const edges = bins.edges[feature]?.length ?? 0;
    let gradient = 0;
    let curvature = 0;
    let count = 0;
    for (let bin = 0; bin < edges; bin += 1) {
      const cell = (index * bins.binsMost + bin) * CELL;
      const binRows = histogram[cell + 2] ?? 0;
      if (binRows === 0) continue;
      gradient += histogram[cell] ?? 0;
      curvature += histogram[cell + 1] ?? 0;
      count += binRows;
      if (count < rowsPerLeafMin || curvature < curvatureMin) continue;
      const curvatureRight = whole.curvature - curvature;
      if (whole.count - count < rowsPerLeafMin || curvatureRight < curvatureMin) break;
      const gain = gradient ** 2 / (curvature + l2) + (whole.gradient - gradient) ** 2 / (curvatureRight + l2) - parent;
      // A gain of rounding errors would split rows that are all alike.
      if (gain > Math.max(best?.gain ?? 0, 1e-9)) best = { gain, feature, bin };
    }
  }
  return best;
}

/** Sums over the bins of the first feature, in which every row is once. */
function totals(histogram: Float64Array, bins: number) {
  let gradient = 0;
  let curvature = 0;
  let count = 0;
  for (let cell = 0; cell < bins * CELL; cell += CELL) {
    gradient += histogram[cell] ?? 0;
    curvature += histogram[cell + 1] ?? 0;
    count += histogram[cell + 2] ?? 0;
  }
  return { gradient, curvature, count };
}

type Child = { readonly rows: Int32Array; readonly histogram: Float64Array };

function divide(growth: Growth, { rows, histogram }: Leaf, { feature, bin }: Split): readonly [Child, Child] {
  const { bins, count } = growth.bins;
  const goesLeft = (row: number) => (bins[feature * count + row] ?? 0) <= bin;
  const left = rows.filter(goesLeft);
  const right = rows.filter((row) => !goesLeft(row));
  const smaller = histogramOf(growth, left.length < right.length ? left : right);
  // The parent's histogram is not needed again.
  for (let cell = 0; cell < histogram.length; cell += 1)
    histogram[cell] = (histogram[cell] ?? 0) - (smaller[cell] ?? 0);
  const leftIsSmaller = left.length < right.length;
  return [
    { rows: left, histogram: leftIsSmaller ? smaller : histogram },
    { rows: right, histogram: leftIsSmaller ? histogram : smaller },
  ];
}

function leafValue({ gradients, curvatures, settings }: Growth, rows: Int32Array): number {
  let gradient = 0;
  let curvature = 0;
  for (let at = 0; at < rows.length; at += 1) {
    gradient += gradients[rows[at] ?? 0] ?? 0;
    curvature += curvatures[rows[at] ?? 0] ?? 0;
  }
  return Math.fround((-settings.learningRate * gradient) / (curvature + settings.l2));
}

function emptyTree(nodes: number): RegressionTree {
  return {
    feature: new Int16Array(nodes).fill(-1),
    threshold: new Float64Array(nodes),
    bin: new Int16Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    value: new Float64Array(nodes),
  };
}

function trimmed(tree: RegressionTree, nodes: number): RegressionTree {
  return {
    feature: tree.feature.slice(0, nodes),
    threshold: tree.threshold.slice(0, nodes),
    bin: tree.bin.slice(0, nodes),
    left: tree.left.slice(0, nodes),
    right: tree.right.slice(0, nodes),
    value: tree.value.slice(0, nodes),
  };
}
