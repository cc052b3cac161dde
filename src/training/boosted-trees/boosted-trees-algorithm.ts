import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';
import { boostedSums, type BoostedTrees, fitBoostedTrees } from './boosted-trees.ts';
import { LEAVES_MAX, LEARNING_RATE } from './regression-tree.ts';

/** Gradient-boosted trees, for classes and for qualities. */
export const boostedTreesAlgorithm = labelledAlgorithm<BoostedTrees>({
  name: 'boosted-trees',
  description: 'learns from labelled rows with many small trees; the most accurate if tags act together',
  tasks: ['classification', 'regression'],
  fit: (rows, { seed, onProgress }) => fitBoostedTrees(rows, seed, onProgress),
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
