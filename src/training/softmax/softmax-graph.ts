import { addClassOutputs } from '../graph/class-graph.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares } from '../graph/share-graph.ts';
import type { SoftmaxModel } from './softmax.ts';
import { addWindowFeatures } from '../graph/window-features-graph.ts';

/**
 * The regression as one graph, from raw values to probabilities.
 *
 * - `window`: float32 [batch, windowRows, tags], engineering units, oldest row first.
 * - `score`, `probabilities`, `label`: see `addClassOutputs`.
 * - `contributions`: float32 [batch, tags], each tag's share in the logit of the most likely class:
 *   Σ |coefficient · z| over the tag's features.
 */
export function softmaxGraph(model: SoftmaxModel, windowRows: number, tags: number): Uint8Array {
  const { standardisation, coefficients, intercepts, classes } = model;
  const features = standardisation.means.length;
  const graph = new OnnxGraph('softmax');
  const window = graph.input('window', ['batch', windowRows, tags]);
  const found = addWindowFeatures(graph, window, windowRows);
  const centred = graph.node('Sub', 'centred', [found, graph.doubles('mean', [features], standardisation.means)]);
  const deviations = graph.doubles('deviation', [features], standardisation.deviations);
  const z = graph.cast('standardised', graph.node('Div', 'standardised_doubles', [centred, deviations]), 'float32');
  const weights = graph.floats('coefficients', [features, classes], coefficients);
  const products = graph.node('MatMul', 'products', [z, weights]);
  const logits = graph.node('Add', 'logits', [products, graph.floats('intercepts', [classes], intercepts)]);
  addClassOutputs(graph, logits, classes, model.temperature);
  const byClass = graph.floats('coefficients_by_class', [classes, features], transposed(coefficients, classes));
  const label = graph.node('ArgMax', 'explained_class', [logits], { axis: 1, keepdims: 0 });
  const terms = graph.node('Mul', 'terms', [
    z,
    graph.node('Gather', 'class_coefficients', [byClass, label], { axis: 0 }),
  ]);
  const shape = graph.integers('tag_shape', [0, tags, features / tags]);
  const byTag = graph.node('Reshape', 'terms_by_tag', [graph.node('Abs', 'sizes', [terms]), shape]);
  const parts = graph.node('ReduceSum', 'tag_sizes', [byTag, graph.integers('feature_axis', [2])], { keepdims: 0 });
  graph.output('contributions', addShares(graph, parts), ['batch', tags]);
  return graph.bytes();
}

function transposed(values: Float64Array, columns: number): Float64Array {
  const rows = values.length / columns;
  return values.map((_, index) => values[(index % rows) * columns + Math.floor(index / rows)] ?? 0);
}
