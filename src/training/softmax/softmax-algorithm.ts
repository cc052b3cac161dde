import { sharesOf } from '../core/statistics.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { windowFeatures } from '../core/window-features.ts';
import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';
import type { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares } from '../graph/graph-parts.ts';
import { fitSoftmax, softmaxLogits, type SoftmaxModel, softmaxTerms } from './softmax.ts';

/** Softmax regression; of two classes, logistic regression. */
export const softmaxAlgorithm = labelledAlgorithm<SoftmaxModel>({
  name: 'softmax',
  description: 'separates classes by weighted sums of the tags; explains its verdicts and needs few rows',
  tasks: ['classification'],
  fit: (rows, { onProgress }) => fitSoftmax(rows, onProgress),
  outputs: softmaxLogits,
  addOutputs: (graph, features, model, { tags }) => addLogits(graph, features, model, tags),
  explain: tagShares,
  details: ({ penalty }) => ({ penalty }),
});

function tagShares(model: SoftmaxModel, window: TrainingRows, windowRows: number): Float64Array {
  const terms = softmaxTerms(model, windowFeatures(window, windowRows));
  const perTag = terms.length / window.tags;
  const sizes = Float64Array.from({ length: window.tags }, (_, tag) =>
    terms.subarray(tag * perTag, (tag + 1) * perTag).reduce((sum, part) => sum + part, 0),
  );
  return sharesOf(sizes);
}

/**
 * Adds the logits, and the output `contributions`: float32 [batch, tags], each tag's share in the logit of the most likely
 * class: Σ |coefficient · z| over the tag's features.
 */
function addLogits(graph: OnnxGraph, values: string, model: SoftmaxModel, tags: number): string {
  const { standardisation, coefficients, intercepts, classes } = model;
  const features = standardisation.means.length;
  const centred = graph.node('Sub', 'centred', [values, graph.doubles('mean', [features], standardisation.means)]);
  const deviations = graph.doubles('deviation', [features], standardisation.deviations);
  const z = graph.cast('standardised', graph.node('Div', 'standardised_doubles', [centred, deviations]), 'float32');
  const weights = graph.floats('coefficients', [features, classes], coefficients);
  const products = graph.node('MatMul', 'products', [z, weights]);
  const logits = graph.node('Add', 'logits', [products, graph.floats('intercepts', [classes], intercepts)]);
  const byClass = graph.node('Transpose', 'coefficients_by_class', [weights], { perm: [1, 0] });
  const label = graph.node('ArgMax', 'explained_class', [logits], { axis: 1, keepdims: 0 });
  const ofClass = graph.node('Gather', 'class_coefficients', [byClass, label], { axis: 0 });
  const terms = graph.node('Mul', 'terms', [z, ofClass]);
  const shape = graph.integers('tag_shape', [0, tags, features / tags]);
  const byTag = graph.node('Reshape', 'terms_by_tag', [graph.node('Abs', 'sizes', [terms]), shape]);
  const parts = graph.node('ReduceSum', 'tag_sizes', [byTag, graph.integers('feature_axis', [2])], { keepdims: 0 });
  graph.output('contributions', addShares(graph, parts), ['batch', tags]);
  return logits;
}
