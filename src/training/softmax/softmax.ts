import { fitTemperature, logLoss, softmax } from '../core/calibration.ts';
import { folds, type LabelledFeatures, pickRows } from '../core/labelled-features.ts';
import { minimise } from './lbfgs.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import type { FeatureRows } from '../core/window-features.ts';

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
export function fitSoftmax(
  rows: LabelledFeatures,
  onProgress: (share: number) => void = () => undefined,
): SoftmaxModel {
  const splits = folds(rows).map(({ fit, heldOut }) => ({
    fit: pickRows(rows, fit),
    heldOut: pickRows(rows, heldOut),
  }));
  const labels = Float64Array.from(splits.flatMap(({ heldOut }) => [...heldOut.targets]));
  const tried = PENALTIES.map((penalty, index) => {
    const logits = Float64Array.from(
      splits.flatMap(({ fit, heldOut }) => [...softmaxLogits(fitPenalised(fit, penalty), heldOut)]),
    );
    onProgress((index + 1) / (PENALTIES.length + 1));
    return { penalty, logits, loss: logLoss(logits, labels, rows.classes) };
  });
  const best = tried.reduce((least, next) => (next.loss < least.loss ? next : least));
  const model = fitPenalised(rows, best.penalty);
  onProgress(1);
  return { ...model, temperature: fitTemperature(best.logits, labels, rows.classes) };
}

/** |coefficient · z| of each feature for the likeliest class of a row. */
export function softmaxTerms(model: SoftmaxModel, row: FeatureRows): Float64Array {
  const { values } = standardise({ ...row, tags: row.features }, model.standardisation);
  const logits = softmaxLogits(model, row);
  const likeliest = logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit)));
  return values.map((value, feature) =>
    Math.abs(value * (model.coefficients[feature * model.classes + likeliest] ?? 0)),
  );
}

/** Before any temperature; shape [rows, classes]. */
export function softmaxLogits(model: SoftmaxModel, rows: FeatureRows): Float64Array {
  const { values } = standardise({ ...rows, tags: rows.features }, model.standardisation);
  return logitsOf(model.coefficients, model.intercepts, values, rows.count);
}

function fitPenalised(rows: LabelledFeatures, penalty: number): SoftmaxModel {
  const { count, features, classes, targets } = rows;
  const standardisation = fitStandardisation([{ ...rows, tags: features }]);
  const { values } = standardise({ ...rows, tags: features }, standardisation);
  const weights = features * classes;
  const objective = (point: Float64Array, gradient: Float64Array): number => {
    const coefficients = point.subarray(0, weights);
    const logits = logitsOf(coefficients, point.subarray(weights), values, count);
    const residuals = softmax(logits, classes);
    for (let row = 0; row < count; row += 1) {
      const index = row * classes + (targets[row] ?? 0);
      residuals[index] = (residuals[index] ?? 0) - 1;
    }
    writeGradient(gradient, residuals, values, { count, features, classes });
    let squares = 0;
    for (let index = 0; index < weights; index += 1) {
      const coefficient = coefficients[index] ?? 0;
      squares += coefficient * coefficient;
      gradient[index] = (gradient[index] ?? 0) + penalty * coefficient;
    }
    return logLoss(logits, targets, classes) + (penalty * squares) / 2;
  };
  const point = minimise(objective, new Float64Array(weights + classes), TOLERANCE, STEPS_MAX);
  return {
    classes,
    standardisation,
    coefficients: point.slice(0, weights),
    intercepts: point.slice(weights),
    temperature: 1,
    penalty,
  };
}

function logitsOf(
  coefficients: Float64Array,
  intercepts: Float64Array,
  values: Float64Array,
  count: number,
): Float64Array {
  const classes = intercepts.length;
  const features = coefficients.length / classes;
  const logits = new Float64Array(count * classes);
  for (let row = 0; row < count; row += 1) {
    const to = row * classes;
    logits.set(intercepts, to);
    for (let feature = 0; feature < features; feature += 1) {
      const value = values[row * features + feature] ?? 0;
      for (let index = 0; index < classes; index += 1) {
        logits[to + index] = (logits[to + index] ?? 0) + value * (coefficients[feature * classes + index] ?? 0);
      }
    }
  }
  return logits;
}

/** Writes the gradient of the mean loss, by each coefficient and then each intercept; overwrites the target. */
function writeGradient(
  gradient: Float64Array,
  residuals: Float64Array,
  values: Float64Array,
  { count, features, classes }: { readonly count: number; readonly features: number; readonly classes: number },
): void {
  gradient.fill(0);
  for (let row = 0; row < count; row += 1) {
    for (let feature = 0; feature <= features; feature += 1) {
      // The last one is the intercept, a feature that is always 1.
      const value = (feature === features ? 1 : (values[row * features + feature] ?? 0)) / count;
      const to = feature * classes;
      for (let index = 0; index < classes; index += 1) {
        gradient[to + index] = (gradient[to + index] ?? 0) + value * (residuals[row * classes + index] ?? 0);
      }
    }
  }
}
