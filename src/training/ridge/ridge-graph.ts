import { OnnxGraph } from '../graph/onnx-graph.ts';
import type { RidgeModel } from './ridge.ts';
import { addShares } from '../graph/share-graph.ts';
import { addStandardisation } from '../graph/standardisation-graph.ts';

/**
 * The regression as one graph, from raw values to the prediction.
 *
 * - `window`: float32 [batch, windowRows, tags], engineering units, oldest row first.
 * - `score`: float32 [batch], the predicted quality in its own unit.
 * - `contributions`: float32 [batch, tags], each tag's share in the distance from the intercept, |coefficient · z|.
 */
export function ridgeGraph(model: RidgeModel): Uint8Array {
  const { windowRows, coefficients, intercept } = model;
  const tags = coefficients.length;
  const graph = new OnnxGraph('ridge');
  const window = graph.input('window', ['batch', windowRows, tags]);
  // The order matters for float32: standardised first, the mean over the window is one of small numbers.
  const standardised = addStandardisation(graph, window, model.standardisation);
  const means = graph.node('ReduceMean', 'means', [standardised], { axes: [1], keepdims: 0 });
  const terms = graph.node('Mul', 'terms', [means, graph.floats('coefficient', [tags], coefficients)]);
  const sum = graph.node('ReduceSum', 'sum', [terms, graph.integers('tag_axis', [1])], { keepdims: 0 });
  const prediction = graph.node('Add', 'prediction', [sum, graph.floats('intercept', [], [intercept])]);
  graph.output('score', prediction, ['batch']);
  graph.output('contributions', addShares(graph, graph.node('Abs', 'sizes', [terms])), ['batch', tags]);
  return graph.bytes();
}
