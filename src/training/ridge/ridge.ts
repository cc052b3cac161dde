import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { OperatingError } from '../../platform/errors.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { sliceRows, type TrainingRows } from '../core/training-rows.ts';

/** Fewest rows that a regression is fitted on. */
export const RIDGE_ROWS_MIN = 60;
/** Penalties tried, as a share of the number of rows; the best on the validation rows is kept. */
const PENALTIES = [1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1] as const;
/** Share of the rows, from the start, for the fit; the last rows choose the penalty. Never shuffled. */
const FIT_SHARE = 0.75;

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
  const measured = measuredMeans(segments, targets, windowRows);
  const { count } = measured.means;
  if (count < RIDGE_ROWS_MIN)
    throw new OperatingError(
      'training-too-few-rows',
      'reject',
      `${count} rows have a full window of ${windowRows} rows and a measured quality; ${RIDGE_ROWS_MIN} or more are needed`,
    );
  const validationFrom = Math.floor(count * FIT_SHARE);
  const fit = (to: number, penalty: number) =>
    fitRidge(sliceRows(measured.means, 0, to), measured.targets.subarray(0, to), windowRows, penalty);
  const tried = PENALTIES.map((penalty) => {
    const predictions = predictMeans(fit(validationFrom, penalty), sliceRows(measured.means, validationFrom, count));
    return { penalty, error: squaredError(predictions, measured.targets.subarray(validationFrom)) };
  });
  const { penalty } = tried.reduce((best, next) => (next.error < best.error ? next : best));
  return { model: fit(count, penalty), penalty };
}

/** Prediction for every row with a full window: `rows.count − windowRows + 1` values. */
export function predictRidge(model: RidgeModel, rows: TrainingRows): Float64Array {
  return predictMeans(model, windowMeans(rows, model.windowRows));
}

/** Returns the contribution of each tag to the prediction of one window: coefficient · z, in the unit of the quality. */
export function ridgeTerms(model: RidgeModel, window: TrainingRows): Float64Array {
  const { values } = standardise(windowMeans(window, model.windowRows), model.standardisation);
  return model.coefficients.map((coefficient, tag) => coefficient * (values[tag] ?? 0));
}

/** Window means and qualities of the rows that have both, run after run. */
function measuredMeans(segments: readonly TrainingRows[], targets: readonly Float64Array[], windowRows: number) {
  const tags = segments[0]?.tags ?? 0;
  const rows: number[] = [];
  const qualities: number[] = [];
  for (const [index, segment] of segments.entries()) {
    const means = windowMeans(segment, windowRows);
    for (let row = 0; row < means.count; row += 1) {
      const quality = targets[index]?.[row + windowRows - 1] ?? Number.NaN;
      if (!Number.isFinite(quality)) continue;
      qualities.push(quality);
      for (let tag = 0; tag < tags; tag += 1) rows.push(means.values[row * tags + tag] ?? 0);
    }
  }
  const means: TrainingRows = { count: qualities.length, tags, values: Float64Array.from(rows) };
  return { means, targets: Float64Array.from(qualities) };
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
  // The penalty makes the matrix positive definite, even with identical or constant tags.
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

function squaredError(predictions: Float64Array, targets: Float64Array): number {
  return predictions.reduce((sum, prediction, row) => sum + (prediction - (targets[row] ?? 0)) ** 2, 0);
}
