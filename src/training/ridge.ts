import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { OperatingError } from '../platform/errors.ts';
import type { Standardisation } from './standardisation.ts';
import { fitStandardisation, standardise } from './standardisation.ts';
import type { TrainingRows } from './training-rows.ts';
import { checkTrainingRows, sliceRows } from './training-rows.ts';

/** Fewest rows that a regression is trained on. */
const REGRESSION_ROWS_MIN = 100;
/** Penalties tried, as a share of the number of rows; the best on the validation rows is kept. */
const PENALTIES = [1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1] as const;
/** The first rows fit, the next choose the penalty, the last are held out. Never shuffled: the future is not known. */
const FIT_SHARE = 0.6;
const VALIDATION_SHARE = 0.2;

/** prediction = intercept + Σ coefficient · z, where z is the standardised mean of a tag over the window. */
export type RidgeModel = {
  readonly tags: number;
  /** Rows that are averaged before the prediction. */
  readonly windowRows: number;
  readonly standardisation: Standardisation;
  readonly coefficients: Float64Array;
  /** In the unit of the quality. */
  readonly intercept: number;
};

/** Errors on the held-out rows, in the unit of the quality, beside those of a guess that needs no model. */
type RegressionMetrics = {
  readonly heldOutRows: number;
  readonly rmse: number;
  readonly mae: number;
  /** Always guessing the mean of the rows before. */
  readonly naiveRmse: number;
  /** Share of the naive guess's squared error that the model explains; 0 or below is useless. */
  readonly r2: number;
};

export type TrainedRidge = {
  readonly model: RidgeModel;
  readonly penalty: number;
  readonly metrics: RegressionMetrics;
  /** For an operator; empty where nothing speaks against using the model. */
  readonly warnings: readonly string[];
};

/**
 * Fits a ridge regression of a quality on the tags' means over a window, and measures it on the last rows.
 *
 * @param rows In order of time, one run.
 * @param quality The measured quality of each row, in its own unit.
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' (reject).
 * @see Hoerl and Kennard, Ridge Regression, Technometrics 12(1), 1970.
 */
export function trainRidge(rows: TrainingRows, quality: Float64Array, windowRows: number): TrainedRidge {
  checkTrainingRows([rows], REGRESSION_ROWS_MIN + windowRows);
  const missing = quality.findIndex((value) => !Number.isFinite(value));
  if (missing >= 0 || quality.length !== rows.count)
    throw new OperatingError(
      'training-value-invalid',
      'reject',
      `${rows.count} training rows, ${quality.length} qualities; the first that is missing or not finite is row ${missing}`,
    );
  const means = windowMeans(rows, windowRows);
  const targets = quality.subarray(windowRows - 1);
  const validationFrom = Math.floor(means.count * FIT_SHARE);
  const heldOutFrom = Math.floor(means.count * (FIT_SHARE + VALIDATION_SHARE));
  const fit = (to: number, penalty: number) =>
    fitRidge(sliceRows(means, 0, to), targets.subarray(0, to), windowRows, penalty);
  const errorOf = (model: RidgeModel, from: number, to: number) =>
    errors(predictMeans(model, sliceRows(means, from, to)), targets.subarray(from, to));
  const tried = PENALTIES.map((penalty) => ({
    penalty,
    rmse: errorOf(fit(validationFrom, penalty), validationFrom, heldOutFrom).rmse,
  }));
  const { penalty } = tried.reduce((best, next) => (next.rmse < best.rmse ? next : best));
  const model = fit(heldOutFrom, penalty);
  const { rmse, mae } = errorOf(model, heldOutFrom, means.count);
  const heldOut = targets.subarray(heldOutFrom);
  const naive = errors(
    heldOut.map(() => model.intercept),
    heldOut,
  );
  const r2 = naive.rmse === 0 ? 0 : 1 - rmse ** 2 / naive.rmse ** 2;
  return {
    model,
    penalty,
    metrics: { heldOutRows: heldOut.length, rmse, mae, naiveRmse: naive.rmse, r2 },
    warnings: r2 > 0 ? [] : ['On held-out rows the model is no better than always guessing the mean.'],
  };
}

/** Prediction for every row with a full window: `rows.count − windowRows + 1` values. */
export function predictRidge(model: RidgeModel, rows: TrainingRows): Float64Array {
  return predictMeans(model, windowMeans(rows, model.windowRows));
}

/** Row t is the mean of rows t … t + windowRows − 1. */
function windowMeans({ count, tags, values }: TrainingRows, windowRows: number): TrainingRows {
  const length = Math.max(count - windowRows + 1, 0);
  const means = Float64Array.from({ length: length * tags }, (_, index) => {
    let sum = 0;
    for (let row = 0; row < windowRows; row += 1) sum += values[index + row * tags] ?? 0;
    return sum / windowRows;
  });
  return { count: length, tags, values: means };
}

function fitRidge(means: TrainingRows, targets: Float64Array, windowRows: number, penalty: number): RidgeModel {
  const { count, tags } = means;
  const standardisation = fitStandardisation([means]);
  const { values } = standardise(means, standardisation);
  const intercept = targets.reduce((sum, value) => sum + value, 0) / count;
  const products = Matrix.zeros(tags, tags);
  const moments = Matrix.zeros(tags, 1);
  for (let row = 0; row < count; row += 1) {
    for (let tag = 0; tag < tags; tag += 1) {
      const value = values[row * tags + tag] ?? 0;
      moments.set(tag, 0, moments.get(tag, 0) + value * ((targets[row] ?? 0) - intercept));
      for (let other = 0; other < tags; other += 1) {
        products.set(tag, other, products.get(tag, other) + value * (values[row * tags + other] ?? 0));
      }
    }
  }
  // The penalty makes the matrix positive definite, even with tags that say the same or stand still.
  for (let tag = 0; tag < tags; tag += 1) products.set(tag, tag, products.get(tag, tag) + penalty * count);
  const coefficients = Float64Array.from(new CholeskyDecomposition(products).solve(moments).to1DArray());
  return { tags, windowRows, standardisation, coefficients, intercept };
}

function predictMeans(model: RidgeModel, means: TrainingRows): Float64Array {
  const { values } = standardise(means, model.standardisation);
  return Float64Array.from({ length: means.count }, (_, row) => {
    let prediction = model.intercept;
    for (let tag = 0; tag < model.tags; tag += 1) {
      prediction += (model.coefficients[tag] ?? 0) * (values[row * model.tags + tag] ?? 0);
    }
    return prediction;
  });
}

function errors(predictions: Float64Array, targets: Float64Array): { readonly rmse: number; readonly mae: number } {
  const differences = predictions.map((prediction, row) => prediction - (targets[row] ?? 0));
  const squares = differences.reduce((sum, difference) => sum + difference ** 2, 0);
  const absolutes = differences.reduce((sum, difference) => sum + Math.abs(difference), 0);
  return { rmse: Math.sqrt(squares / targets.length), mae: absolutes / targets.length };
}
