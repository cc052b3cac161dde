import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { sharesOf } from '../core/statistics.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';
import { predictRidge, RIDGE_ROWS_MIN, type RidgeModel, ridgeTerms, type TrainedRidge, trainRidge } from './ridge.ts';

/** Default number of averaged rows. */
const WINDOW_ROWS = 10;

/** Ridge regression: predicts a quality from the tags' means over a window. */
export const ridgeAlgorithm: TrainingAlgorithm = {
  name: 'ridge',
  description: 'predicts a quality as a weighted sum of the tags; the first choice with few rows',
  tasks: ['regression'],
  rowsMin: RIDGE_ROWS_MIN,
  fit: async ({ segments, targets, windowRows }: TrainingInput) =>
    fittedRidge(trainRidge(segments, targets ?? [], windowRows ?? WINDOW_ROWS)),
};

function fittedRidge({ model, penalty }: TrainedRidge): FittedModel {
  return {
    windowRows: model.windowRows,
    graph: () => ridgeGraph(model),
    judge: (rows) => ({ scores: predictRidge(model, rows) }),
    explain: (window) => sharesOf(ridgeTerms(model, window).map(Math.abs)),
    details: { penalty },
    warnings: [],
  };
}

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
