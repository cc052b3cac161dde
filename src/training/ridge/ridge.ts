import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { type LabelledFeatures, labelledFeatures, pickRows } from '../core/labelled-features.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { mean, sharesOf } from '../core/statistics.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import type { FeatureRows } from '../core/window-features.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares, addStandardisation } from '../graph/graph-parts.ts';

/** Fewest rows that a regression is fitted on. */
const RIDGE_ROWS_MIN = 60;
/** Penalties tried, as a share of the number of rows; the best on the validation rows is kept. */
const PENALTIES = [1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1] as const;
/** Share of the rows, from the start, for the fit; the last rows choose the penalty. Never shuffled. */
const FIT_SHARE = 0.75;

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

/** prediction = intercept + Σ coefficient · z, where z is the standardised mean of a tag over the window. */
export type RidgeModel = {
  /** Rows that are averaged before the prediction. */
  readonly windowRows: number;
  readonly standardisation: Standardisation;
  readonly coefficients: Float64Array;
  /** In the unit of the quality. */
  readonly intercept: number;
};

export type TrainedRidge = { readonly model: RidgeModel; readonly penalty: number };

/**
 * Fits a ridge regression of a quality on the tags' means over a window.
 *
 * @param segments In order of time; no window crosses from one to the next.
 * @param targets Measured quality of each row, in its own unit; NaN without a measurement.
 * @throws {OperatingError} 'training-too-few-rows' (reject) if too few rows have a full window and a measurement.
 * @see Hoerl and Kennard, Ridge Regression, Technometrics 12(1), 1970.
 */
export function trainRidge(
  segments: readonly TrainingRows[],
  targets: readonly Float64Array[],
  windowRows: number,
): TrainedRidge {
  const rows = labelledFeatures({ segments, targets, classes: [] }, windowRows, windowMeans, RIDGE_ROWS_MIN);
  const validationFrom = Math.floor(rows.count * FIT_SHARE);
  const indices = Int32Array.from({ length: rows.count }, (_, row) => row);
  const first = pickRows(rows, indices.subarray(0, validationFrom));
  const last = pickRows(rows, indices.subarray(validationFrom));
  const tried = PENALTIES.map((penalty) => {
    const predictions = predictMeans(fitRidge(first, penalty), last);
    return { penalty, error: mean(predictions.map((prediction, row) => (prediction - (last.targets[row] ?? 0)) ** 2)) };
  });
  const { penalty } = tried.reduce((best, next) => (next.error < best.error ? next : best));
  return { model: fitRidge(rows, penalty), penalty };
}

/** Prediction for every row with a full window: `rows.count − windowRows + 1` values. */
export function predictRidge(model: RidgeModel, rows: TrainingRows): Float64Array {
  return predictMeans(model, windowMeans(rows, model.windowRows));
}

/** Returns the contribution of each tag to the prediction of one window: coefficient · z, in the unit of the quality. */
function ridgeTerms({ coefficients, standardisation, windowRows }: RidgeModel, window: TrainingRows): Float64Array {
  const z = standardise(windowMeans(window, windowRows).values, standardisation);
  return coefficients.map((coefficient, tag) => coefficient * (z[tag] ?? 0));
}

/** Row t is the mean of rows t … t + windowRows − 1. */
function windowMeans({ count, tags, values }: TrainingRows, windowRows: number): FeatureRows {
  const length = Math.max(count - windowRows + 1, 0);
  const means = Float64Array.from({ length: length * tags }, (_, index) => {
    let sum = 0;
    for (let row = 0; row < windowRows; row += 1) sum += values[index + row * tags] ?? 0;
    return sum / windowRows;
  });
  return { count: length, features: tags, values: means };
}

function fitRidge({ count, tags, values, targets, windowRows }: LabelledFeatures, penalty: number): RidgeModel {
  const standardisation = fitStandardisation([{ values }], tags);
  const z = Matrix.from1DArray(count, tags, standardise(values, standardisation));
  const intercept = mean(targets);
  const transposed = z.transpose();
  const moments = transposed.mmul(Matrix.columnVector(targets.map((target) => target - intercept)));
  // The penalty makes the matrix positive definite, even with identical or constant tags.
  const products = transposed.mmul(z).add(Matrix.eye(tags, tags, penalty * count));
  const coefficients = Float64Array.from(new CholeskyDecomposition(products).solve(moments).to1DArray());
  return { windowRows, standardisation, coefficients, intercept };
}

function predictMeans({ coefficients, intercept, standardisation }: RidgeModel, means: FeatureRows): Float64Array {
  const z = standardise(means.values, standardisation);
  return Float64Array.from({ length: means.count }, (_, row) =>
    coefficients.reduce((sum, coefficient, tag) => sum + coefficient * (z[row * means.features + tag] ?? 0), intercept),
  );
}
