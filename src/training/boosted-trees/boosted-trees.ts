import { SeededDraws } from '../../domain/seeded-draws.ts';
import type { TrainingInput } from '../core/algorithm.ts';
import { fitTemperature, meanLoss, softmax } from '../core/calibration.ts';
import { folds, type LabelledFeatures, pickRows } from '../core/labelled-features.ts';
import { columnOf, concatenated, mean } from '../core/statistics.ts';
import type { FeatureRows } from '../core/window-features.ts';
import { binFeatures, type FeatureBins } from './feature-bins.ts';
import { addTree, growTree, type RegressionTree, LEAVES_MAX, LEARNING_RATE } from './regression-tree.ts';
import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';

/** Gradient-boosted trees, for classes and for qualities. */
export const boostedTreesAlgorithm = labelledAlgorithm<BoostedTrees>({
  name: 'boosted-trees',
  description: 'learns from labelled rows with many small trees; the most accurate if tags act together',
  tasks: ['classification', 'regression'],
  fit: fitBoostedTrees,
  outputs: boostedSums,
  // The ensemble returns logits for classifications too, so that the calibration is plain arithmetic after it.
  addOutputs: (graph, features, model) =>
    graph.learned(
      'TreeEnsembleRegressor',
      'trees',
      [graph.cast('tree_features', features, 'float32')],
      ensemble(model),
    ),
  details: ({ rounds, trees }) => ({
    rounds,
    trees: trees.length,
    leavesMax: LEAVES_MAX,
    learningRate: LEARNING_RATE,
  }),
});

/** Attributes of TreeEnsembleRegressor: every node of every tree, one after the other. */
function ensemble({ trees, outputs, base }: BoostedTrees) {
  const nodes = trees.flatMap((tree, id) => tree.map((node, index) => ({ ...node, id, index })));
  const leaves = nodes.filter(({ feature }) => feature < 0);
  return {
    n_targets: outputs,
    aggregate_function: { text: 'SUM' },
    post_transform: { text: 'NONE' },
    base_values: { floats: [...base] },
    nodes_treeids: nodes.map(({ id }) => id),
    nodes_nodeids: nodes.map(({ index }) => index),
    nodes_modes: { strings: nodes.map(({ feature }) => (feature < 0 ? 'LEAF' : 'BRANCH_LEQ')) },
    nodes_featureids: nodes.map(({ feature }) => Math.max(feature, 0)),
    nodes_values: { floats: nodes.map(({ threshold }) => threshold) },
    nodes_truenodeids: nodes.map(({ left }) => left),
    nodes_falsenodeids: nodes.map(({ right }) => right),
    target_treeids: leaves.map(({ id }) => id),
    target_nodeids: leaves.map(({ index }) => index),
    target_ids: leaves.map(({ id }) => id % outputs),
    target_weights: { floats: leaves.map(({ value }) => value) },
  };
}

/** Shares of rows and features drawn in each round. */
const ROW_SHARE = 0.8;
const FEATURE_SHARE = 0.7;
const ROUNDS_MAX = 500;
/** Rounds on all rows for each that a fold was best after: a fold has a fifth fewer rows, and is tried on other days. */
const ROUNDS_ON_ALL = 1.6;
/** Rounds without a better loss on held-out rows after which no better one is expected. */
const PATIENCE_ROUNDS = 25;

/** Sum of trees for each output: the logits of the classes, or the quality. */
export type BoostedTrees = {
  readonly outputs: number;
  /** Start values of the sums; float32. */
  readonly base: Float64Array;
  /** Tree i adds to output i mod outputs. */
  readonly trees: readonly RegressionTree[];
  /** 1 for a regression. */
  readonly temperature: number;
  readonly rounds: number;
};

/**
 * Boosts trees: rounds are counted on folds, then all rows are learned from for as many.
 *
 * @see Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 29(5), 2001.
 */
function fitBoostedTrees(rows: LabelledFeatures, { seed, onProgress }: TrainingInput): BoostedTrees {
  const trials = folds(rows).map(({ fit, heldOut }, index) => new Boosting(fit, heldOut, seed + 1 + index));
  let best = { loss: Number.POSITIVE_INFINITY, rounds: 0, sums: trials.map(({ heldOutSums }) => heldOutSums) };
  for (let round = 1; round <= ROUNDS_MAX && round - best.rounds <= PATIENCE_ROUNDS; round += 1) {
    for (const trial of trials) trial.addRound();
    const loss = trials.reduce(
      (sum, { heldOut, heldOutSums }) => sum + meanLoss(heldOutSums, heldOut) * heldOut.count,
      0,
    );
    if (loss < best.loss) best = { loss, rounds: round, sums: trials.map(({ heldOutSums }) => heldOutSums.slice()) };
    onProgress((0.8 * round) / ROUNDS_MAX);
  }
  const boosting = new Boosting(rows, pickRows(rows, new Int32Array()), seed);
  for (let round = 0; round < best.rounds * ROUNDS_ON_ALL; round += 1) boosting.addRound();
  onProgress(1);
  const { outputs, base, trees } = boosting;
  const labels = concatenated(trials.map(({ heldOut }) => heldOut.targets));
  return {
    outputs,
    base,
    trees,
    temperature: fitTemperature(concatenated(best.sums), labels, rows.classes),
    rounds: trees.length / outputs,
  };
}

/** The outputs of every row, before any temperature; shape [rows, outputs]. */
function boostedSums({ outputs, base, trees }: BoostedTrees, rows: FeatureRows): Float64Array {
  const sums = startingSums(base, rows.count);
  trees.forEach((tree, index) => addTree(tree, rows, sums, { stride: outputs, offset: index % outputs }));
  return sums;
}

/** Trees that grow on some rows, with their sums for other rows. */
class Boosting {
  readonly trees: RegressionTree[] = [];
  readonly outputs: number;
  readonly base: Float64Array;
  readonly heldOut: LabelledFeatures;
  readonly heldOutSums: Float64Array;
  readonly #rows: LabelledFeatures;
  readonly #draws: SeededDraws;
  readonly #bins: FeatureBins;
  readonly #sums: Float64Array;

  constructor(rows: LabelledFeatures, heldOut: LabelledFeatures, seed: number) {
    this.#rows = rows;
    this.#draws = new SeededDraws(seed);
    this.#bins = binFeatures(rows);
    this.outputs = Math.max(rows.classes, 1);
    this.base = startingPoint(rows);
    this.#sums = startingSums(this.base, rows.count);
    this.heldOut = heldOut;
    this.heldOutSums = startingSums(this.base, heldOut.count);
  }

  /** Adds a tree for each output, all on the same derivatives. */
  addRound(): void {
    const { count, features } = this.#rows;
    const sampled = this.#sample(count, ROW_SHARE);
    const grown = this.#derivatives().map((derivatives) =>
      growTree({ bins: this.#bins, features: this.#sample(features, FEATURE_SHARE), ...derivatives }, sampled),
    );
    grown.forEach((tree, offset) => {
      addTree(tree, this.#rows, this.#sums, { stride: this.outputs, offset });
      addTree(tree, this.heldOut, this.heldOutSums, { stride: this.outputs, offset });
    });
    this.trees.push(...grown);
  }

  #sample(count: number, share: number): Int32Array {
    const all = Int32Array.from({ length: count }, (_, index) => index);
    return this.#draws.sample(all, Math.ceil(count * share));
  }

  #derivatives(): readonly { readonly gradients: Float64Array; readonly curvatures: Float64Array }[] {
    const { targets, classes, count } = this.#rows;
    if (classes === 0) {
      const gradients = this.#sums.map((sum, row) => sum - (targets[row] ?? 0));
      return [{ gradients, curvatures: new Float64Array(count).fill(1) }];
    }
    const probabilities = softmax(this.#sums, classes);
    return Array.from({ length: classes }, (_, index) => {
      const chances = columnOf(probabilities, classes, index);
      return {
        gradients: chances.map((chance, row) => chance - Number(targets[row] === index)),
        // The logits of the classes depend on each other, which makes the curvature K / (K − 1) times as large.
        curvatures: chances.map((chance) => (chance * (1 - chance) * classes) / (classes - 1)),
      };
    });
  }
}

/** The logarithm of each class's frequency, or the mean quality. */
function startingPoint({ targets, classes, count }: LabelledFeatures): Float64Array {
  if (classes === 0) return Float64Array.of(Math.fround(mean(targets)));
  const counts = new Float64Array(classes);
  for (const target of targets) counts[target] = (counts[target] ?? 0) + 1;
  return counts.map((rows) => Math.fround(Math.log(rows / count)));
}

function startingSums(base: Float64Array, rows: number): Float64Array {
  return Float64Array.from({ length: rows * base.length }, (_, index) => base[index % base.length] ?? 0);
}
