import type { BoostedTrees } from './boosted-trees.ts';
import { addClassOutputs } from '../graph/class-graph.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import type { RegressionTree } from './regression-tree.ts';
import { addWindowFeatures } from '../graph/window-features-graph.ts';

/**
 * The trees as one graph, from raw values to the score.
 *
 * - `window`: float32 [batch, windowRows, tags], engineering units, oldest row first.
 * - `score`: float32 [batch], the quality in its own unit; for a classification see `addClassOutputs`.
 *
 * The ensemble returns logits for classifications too, so that the calibration is plain arithmetic after it.
 */
export function boostedTreesGraph(
  model: BoostedTrees,
  { windowRows, tags, classes }: { readonly windowRows: number; readonly tags: number; readonly classes: number },
): Uint8Array {
  const graph = new OnnxGraph('boosted-trees');
  const window = graph.input('window', ['batch', windowRows, tags]);
  const features = graph.cast('tree_features', addWindowFeatures(graph, window, windowRows), 'float32');
  const sums = graph.learned('TreeEnsembleRegressor', 'trees', [features], ensemble(model));
  if (classes > 0) addClassOutputs(graph, sums, classes, model.temperature);
  else graph.output('score', graph.node('Squeeze', 'quality', [sums, graph.integers('output_axis', [1])]), ['batch']);
  return graph.bytes();
}

/** Attributes of TreeEnsembleRegressor: every node of every tree, one after the other. */
function ensemble({ trees, outputs, base }: BoostedTrees) {
  const nodes = trees.flatMap((tree, id) => [...tree.feature.keys()].map((node) => ({ tree, id, node })));
  const leaves = nodes.filter(({ tree, node }) => isLeaf(tree, node));
  const each = (of: (tree: RegressionTree, node: number) => number) => nodes.map(({ tree, node }) => of(tree, node));
  return {
    n_targets: outputs,
    aggregate_function: { text: 'SUM' },
    post_transform: { text: 'NONE' },
    base_values: { floats: [...base] },
    nodes_treeids: nodes.map(({ id }) => id),
    nodes_nodeids: nodes.map(({ node }) => node),
    nodes_modes: { strings: nodes.map(({ tree, node }) => (isLeaf(tree, node) ? 'LEAF' : 'BRANCH_LEQ')) },
    nodes_featureids: each((tree, node) => Math.max(tree.feature[node] ?? 0, 0)),
    nodes_values: { floats: each((tree, node) => tree.threshold[node] ?? 0) },
    nodes_truenodeids: each((tree, node) => tree.left[node] ?? 0),
    nodes_falsenodeids: each((tree, node) => tree.right[node] ?? 0),
    target_treeids: leaves.map(({ id }) => id),
    target_nodeids: leaves.map(({ node }) => node),
    target_ids: leaves.map(({ id }) => id % outputs),
    target_weights: { floats: leaves.map(({ tree, node }) => tree.value[node] ?? 0) },
  };
}

function isLeaf(tree: RegressionTree, node: number): boolean {
  return (tree.feature[node] ?? -1) < 0;
}
