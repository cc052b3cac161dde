import { indexOfLargest } from '../core/statistics.ts';
import type { FeatureRows } from '../core/window-features.ts';
import type { FeatureBins } from './feature-bins.ts';

export const LEAVES_MAX = 16;
/** Times the value of each leaf. */
export const LEARNING_RATE = 0.05;
const ROWS_PER_LEAF_MIN = 5;
/** Minimum sum of curvatures in a leaf: a leaf of rows that are certain already changes nothing. */
const CURVATURE_MIN = 1e-3;
/** Added to the sum of curvatures of a leaf, which draws its value to zero. */
const L2 = 1;
/** Numbers of a bin in a histogram: the sum of gradients, of curvatures, and the rows. */
const CELL = 3;

type TreeNode = {
  /** −1 for a leaf. */
  feature: number;
  /** Float32: left if value ≤ threshold. */
  threshold: number;
  left: number;
  right: number;
  /** Float32, of leaves. */
  value: number;
};

/** Nodes with the index of each child, the root first. */
export type RegressionTree = readonly Readonly<TreeNode>[];

type Split = { readonly gain: number; readonly feature: number; readonly bin: number };
type Leaf = {
  readonly node: TreeNode;
  readonly rows: Int32Array;
  readonly histogram: Float64Array;
  readonly split: Split | undefined;
};

type Growth = {
  readonly bins: FeatureBins;
  /** Features available for splits. */
  readonly features: Int32Array;
  readonly gradients: Float64Array;
  readonly curvatures: Float64Array;
};

/**
 * Grows one tree on first and second derivatives of a loss, always splitting the leaf that gains the most.
 *
 * The histogram of the larger child is that of its parent minus that of the smaller child, so that each level costs at
 * most half of its rows.
 *
 * @param rows Training rows, ascending.
 * @see Friedman, Greedy Function Approximation, Annals of Statistics 29(5), 2001; Ke et al., LightGBM, NeurIPS 2017.
 */
export function growTree(growth: Growth, rows: Int32Array): RegressionTree {
  const tree: TreeNode[] = [];
  const addLeaf = (leafRows: Int32Array, histogram: Float64Array): Leaf => {
    const { gradient, curvature } = totals(histogram, growth.bins.binsMost);
    const value = Math.fround((-LEARNING_RATE * gradient) / (curvature + L2));
    const node = { feature: -1, threshold: 0, left: 0, right: 0, value };
    tree.push(node);
    const split = leafRows.length < 2 * ROWS_PER_LEAF_MIN ? undefined : bestSplit(growth, histogram);
    return { node, rows: leafRows, histogram, split };
  };
  const leaves = [addLeaf(rows, histogramOf(growth, rows))];
  while (leaves.length < LEAVES_MAX) {
    const best = indexOfLargest(leaves.map(({ split }) => split?.gain ?? 0));
    const leaf = leaves[best];
    if (leaf?.split === undefined) break;
    const { feature, bin } = leaf.split;
    const threshold = growth.bins.edges[feature]?.[bin] ?? 0;
    Object.assign(leaf.node, { feature, threshold, left: tree.length, right: tree.length + 1, value: 0 });
    const [left, right] = divide(growth, leaf, leaf.split);
    leaves[best] = addLeaf(left.rows, left.histogram);
    leaves.push(addLeaf(right.rows, right.histogram));
  }
  return tree;
}

/** Adds the tree's value of every row to `sums`, at `offset` of each stride. */
export function addTree(
  tree: RegressionTree,
  { values, count, features }: FeatureRows,
  sums: Float64Array,
  at: { readonly stride: number; readonly offset: number },
): void {
  for (let row = 0; row < count; row += 1) {
    let node = tree[0];
    while (node !== undefined && node.feature >= 0)
      node = tree[(values[row * features + node.feature] ?? 0) <= node.threshold ? node.left : node.right];
    const index = row * at.stride + at.offset;
    sums[index] = (sums[index] ?? 0) + (node?.value ?? 0);
  }
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

function bestSplit({ bins, features }: Growth, histogram: Float64Array): Split | undefined {
  const whole = totals(histogram, bins.binsMost);
  const parent = whole.gradient ** 2 / (whole.curvature + L2);
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
      if (count < ROWS_PER_LEAF_MIN || curvature < CURVATURE_MIN) continue;
      const curvatureRight = whole.curvature - curvature;
      if (whole.count - count < ROWS_PER_LEAF_MIN || curvatureRight < CURVATURE_MIN) break;
      const gain = gradient ** 2 / (curvature + L2) + (whole.gradient - gradient) ** 2 / (curvatureRight + L2) - parent;
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

/** Returns the left and the right child. The histogram of the leaf becomes that of the larger one. */
function divide(growth: Growth, { rows, histogram }: Leaf, { feature, bin }: Split) {
  const { bins, count } = growth.bins;
  const goesLeft = (row: number) => (bins[feature * count + row] ?? 0) <= bin;
  const left = rows.filter(goesLeft);
  const right = rows.filter((row) => !goesLeft(row));
  const leftIsSmaller = left.length < right.length;
  const smaller = histogramOf(growth, leftIsSmaller ? left : right);
  for (let cell = 0; cell < histogram.length; cell += 1)
    histogram[cell] = (histogram[cell] ?? 0) - (smaller[cell] ?? 0);
  return [
    { rows: left, histogram: leftIsSmaller ? smaller : histogram },
    { rows: right, histogram: leftIsSmaller ? histogram : smaller },
  ] as const;
}
