import { Matrix } from 'ml-matrix';
import type { TrainingInput } from '../core/algorithm.ts';
import { fitTemperature, logLoss, softmax } from '../core/calibration.ts';
import { folds, type LabelledFeatures } from '../core/labelled-features.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { concatenated, indexOfLargest, sharesOf } from '../core/statistics.ts';
import { type FeatureRows, windowFeatures } from '../core/window-features.ts';
import { minimise } from './lbfgs.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { labelledAlgorithm } from '../graph/labelled-algorithm.ts';
import type { OnnxGraph } from '../graph/onnx-graph.ts';
import { addShares } from '../graph/graph-parts.ts';

/** Softmax regression; of two classes, logistic regression. */
export const softmaxAlgorithm = labelledAlgorithm<SoftmaxModel>({
  name: 'softmax',
  description: 'separates classes by weighted sums of the tags; explains its verdicts and needs few rows',
  tasks: ['classification'],
  fit: fitSoftmax,
  outputs: softmaxLogits,
  addOutputs: addLogits,
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
function addLogits(graph: OnnxGraph, values: string, model: SoftmaxModel, { tags }: LabelledFeatures): string {
  const { standardisation, coefficients, intercepts, classes } = model;
  const features = standardisation.means.length;
  const centred = graph.node('Sub', 'centred', [values, graph.doubles('mean', [features], standardisation.means)]);
  const deviations = graph.doubles('deviation', [features], standardisation.deviations);
  const z = graph.cast('standardised', graph.node('Div', 'standardised_doubles', [centred, deviations]), 'float32');
  const weights = graph.floats('coefficients', [features, classes], coefficients);
  const sums = graph.node('MatMul', 'products', [z, weights]);
  const logits = graph.node('Add', 'logits', [sums, graph.floats('intercepts', [classes], intercepts)]);
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

/** Penalties tried, on the mean loss of a row; the best on held-out rows is kept. */
const PENALTIES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5] as const;
/** Largest part of the gradient of the mean loss at which the fit is done. */
const TOLERANCE = 1e-5;
const STEPS_MAX = 200;

/** logit of a class = intercept + Σ coefficient · z, where z is a standardised feature. */
export type SoftmaxModel = {
  readonly classes: number;
  readonly standardisation: Standardisation;
  /** Shape [features, classes], row-major; of each feature they add up to 0. */
  readonly coefficients: Float64Array;
  readonly intercepts: Float64Array;
  readonly temperature: number;
  readonly penalty: number;
};

/**
 * Fits a softmax regression (for two classes: logistic) with a squared penalty that is chosen on folds.
 *
 * @see Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2nd edition, sections 4.4 and 18.3.2.
 */
function fitSoftmax(rows: LabelledFeatures, { onProgress }: TrainingInput): SoftmaxModel {
  const splits = folds(rows);
  const labels = concatenated(splits.map(({ heldOut }) => heldOut.targets));
  const tried = PENALTIES.map((penalty, index) => {
    const logits = concatenated(splits.map(({ fit, heldOut }) => softmaxLogits(fitPenalised(fit, penalty), heldOut)));
    onProgress((index + 1) / (PENALTIES.length + 1));
    return { penalty, logits, loss: logLoss(logits, labels, rows.classes) };
  });
  const best = tried.reduce((least, next) => (next.loss < least.loss ? next : least));
  const model = fitPenalised(rows, best.penalty);
  onProgress(1);
  return { ...model, temperature: fitTemperature(best.logits, labels, rows.classes) };
}

/** |coefficient · z| of each feature for the likeliest class of a row. */
function softmaxTerms(model: SoftmaxModel, row: FeatureRows): Float64Array {
  const likeliest = indexOfLargest(softmaxLogits(model, row));
  return standardise(row.values, model.standardisation).map((value, feature) =>
    Math.abs(value * (model.coefficients[feature * model.classes + likeliest] ?? 0)),
  );
}

/** Before any temperature; shape [rows, classes]. */
function softmaxLogits(model: SoftmaxModel, rows: FeatureRows): Float64Array {
  const weights = concatenated([model.coefficients, model.intercepts]);
  return products(inputsOf(rows, model.standardisation), weights, model.classes);
}

function fitPenalised(rows: LabelledFeatures, penalty: number): SoftmaxModel {
  const { count, features, classes, targets } = rows;
  const standardisation = fitStandardisation([rows], features);
  const inputs = inputsOf(rows, standardisation);
  const transposed = inputs.transpose();
  const coefficients = features * classes;
  const objective = (point: Float64Array, gradient: Float64Array): number => {
    const logits = products(inputs, point, classes);
    const residuals = softmax(logits, classes);
    targets.forEach((target, row) => {
      residuals[row * classes + target] = (residuals[row * classes + target] ?? 0) - 1;
    });
    gradient.set(products(transposed, residuals, classes).map((sum) => sum / count));
    let squares = 0;
    for (let index = 0; index < coefficients; index += 1) {
      const coefficient = point[index] ?? 0;
      squares += coefficient * coefficient;
      gradient[index] = (gradient[index] ?? 0) + penalty * coefficient;
    }
    return logLoss(logits, targets, classes) + (penalty * squares) / 2;
  };
  const point = minimise(objective, new Float64Array(coefficients + classes), TOLERANCE, STEPS_MAX);
  return {
    classes,
    standardisation,
    coefficients: point.slice(0, coefficients),
    intercepts: point.slice(coefficients),
    temperature: 1,
    penalty,
  };
}

/** Returns the standardised features, and a last column of 1 for the intercepts. */
function inputsOf({ count, features, values }: FeatureRows, standardisation: Standardisation): Matrix {
  const inputs = Matrix.from1DArray(count, features, standardise(values, standardisation));
  return inputs.addColumn(Matrix.ones(count, 1));
}

/** Returns matrix · values, row-major, where the values have this number of columns. */
function products(matrix: Matrix, values: Float64Array, columns: number): Float64Array {
  return Float64Array.from(matrix.mmul(Matrix.from1DArray(matrix.columns, columns, values)).to1DArray());
}
