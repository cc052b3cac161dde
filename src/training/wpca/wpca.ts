import { trainingFailure } from '../core/training-errors.ts';
import { EigenvalueDecomposition } from 'ml-matrix';
import { lagMoments } from './lag-covariance.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { countRows, type TrainingRows } from '../core/training-rows.ts';

/** Deepest lag stack, in rows. */
const LAGS_MAX = 20;
/** Training rows wanted for each lag-stacked feature. */
const ROWS_PER_FEATURE = 3;
/** Maximum number of lag-stacked features; eigenvectors cost the cube. More than 30 tags have fewer lags. */
const FEATURES_MAX = 600;
/** Minimum share of the variance in the drift components. */
const DRIFT_VARIANCE_SHARE = 0.7;
/** Added to the remaining eigenvalues, as a share of their mean, so that the smallest directions do not rule. */
const RIDGE = 0.3;
/** Rows of the trailing mean over both statistics. */
const SMOOTHING_ROWS = 30;

/** Whitening projection of lag-stacked rows: weights of shape [components, features], row-major. */
export type Projection = { readonly components: number; readonly weights: Float64Array };

/**
 * Whitened principal component analysis of lag-stacked rows: a model of normal running.
 *
 * The leading components carry slow drift and feed T² with a wide margin. The rest, whitened with a ridge, gives R²,
 * which detects that tags no longer move together. Both are means over `smoothingRows`.
 */
export type WpcaModel = {
  readonly tags: number;
  readonly lags: number;
  readonly smoothingRows: number;
  readonly standardisation: Standardisation;
  /** Mean of each lag-stacked feature, feature = lag · tags + tag. */
  readonly featureMeans: Float64Array;
  readonly drift: Projection;
  readonly rest: Projection;
};

/** T² and R² of each row. */
export type WpcaStatistics = { readonly drift: Float64Array; readonly rest: Float64Array };

/** Rows that a judgement looks back on, the judged row included. */
export function windowRows(model: { readonly lags: number; readonly smoothingRows: number }): number {
  return model.lags + model.smoothingRows - 1;
}

/** As deep as the rows allow, about three for each lag-stacked feature, within `LAGS_MAX` and `FEATURES_MAX`. */
export function defaultLags(rows: number, tags: number): number {
  const deepest = Math.min(Math.floor(rows / (ROWS_PER_FEATURE * tags)), Math.floor(FEATURES_MAX / tags), LAGS_MAX);
  return Math.max(deepest, 1);
}

/**
 * @param segments Runs without a gap; stacks never cross from one to the next.
 * @param lags Undefined chooses `defaultLags` for the rows there are.
 * @throws {OperatingError} 'training-no-variance' (reject).
 * @see Ku, Storer, Georgakis, Disturbance detection and isolation by dynamic PCA, Chemometrics 30, 1995, for lag stacking.
 */
export function fitWpca(segments: readonly TrainingRows[], lags?: number): WpcaModel {
  const tags = segments[0]?.tags ?? 0;
  const depth = lags ?? defaultLags(countRows(segments), tags);
  const standardisation = fitStandardisation(segments, tags);
  const standardised = segments.map((segment) => ({
    ...segment,
    values: standardise(segment.values, standardisation),
  }));
  const { means, covariance } = lagMoments(standardised, depth);
  const decomposition = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const features = depth * tags;
  // The solver sorts upwards; rounding leaves eigenvalues of zero a little below it.
  const eigenvalues = decomposition.realEigenvalues.toReversed().map((value) => Math.max(value, 0));
  const total = eigenvalues.reduce((sum, value) => sum + value, 0);
  if (!(total > 0))
    throw trainingFailure(
      'training-no-variance',
      `None of the ${tags} tags changes in ${countRows(segments)} training rows`,
    );
  const split = Math.min(driftComponents(eigenvalues, total), features - 1);
  const restMean = eigenvalues.slice(split).reduce((sum, value) => sum + value, 0) / (features - split);
  // Tags that are exact sums of others have no rest; rounding noise must not be whitened to one.
  const ridge = Math.max(RIDGE * restMean, (total / features) * 1e-9);
  const vector = (component: number) =>
    decomposition.eigenvectorMatrix.getColumn(decomposition.eigenvectorMatrix.columns - 1 - component);
  const whiten = (from: number, to: number, added: number): Projection => ({
    components: to - from,
    weights: Float64Array.from(
      eigenvalues.slice(from, to).flatMap((eigenvalue, index) => {
        const scale = Math.sqrt(eigenvalue + added);
        return vector(from + index).map((value) => value / scale);
      }),
    ),
  });
  return {
    tags,
    lags: depth,
    smoothingRows: SMOOTHING_ROWS,
    standardisation,
    featureMeans: means,
    drift: whiten(0, split, 0),
    rest: whiten(split, features, ridge),
  };
}

/** T² and R² of every row, each the trailing mean over `smoothingRows`; before the first row, the first row. */
export function wpcaStatistics(model: WpcaModel, rows: TrainingRows): WpcaStatistics {
  const drift = new Float64Array(rows.count);
  const rest = new Float64Array(rows.count);
  forEachStack(model, rows, (stack, row) => {
    drift[row] = squaredLength(model.drift, stack);
    rest[row] = squaredLength(model.rest, stack);
  });
  return { drift: trailingMean(drift, model.smoothingRows), rest: trailingMean(rest, model.smoothingRows) };
}

/**
 * Returns the contribution of each tag to a statistic, as a trailing mean like the statistic; their sum is the statistic.
 *
 * @returns Shape [rows, tags], row-major; single values may be negative.
 */
export function wpcaContributions(model: WpcaModel, rows: TrainingRows, statistic: 'drift' | 'rest'): Float64Array {
  const { tags } = model;
  const projection = model[statistic];
  const points = Array.from({ length: tags }, () => new Float64Array(rows.count));
  const features = model.lags * tags;
  forEachStack(model, rows, (stack, row) => {
    for (let component = 0; component < projection.components; component += 1) {
      const weights = projection.weights.subarray(component * features, (component + 1) * features);
      const parts = new Float64Array(tags);
      for (let feature = 0; feature < features; feature += 1) {
        const tag = feature % tags;
        parts[tag] = (parts[tag] ?? 0) + (weights[feature] ?? 0) * (stack[feature] ?? 0);
      }
      const whole = parts.reduce((sum, part) => sum + part, 0);
      points.forEach((point, tag) => {
        point[row] = (point[row] ?? 0) + whole * (parts[tag] ?? 0);
      });
    }
  });
  const means = points.map((point) => trailingMean(point, model.smoothingRows));
  return Float64Array.from({ length: rows.count * tags }, (_, index) => {
    return means[index % tags]?.[Math.floor(index / tags)] ?? 0;
  });
}

/** Fewest leading components that carry `DRIFT_VARIANCE_SHARE` of the variance. */
function driftComponents(eigenvalues: readonly number[], total: number): number {
  let carried = 0;
  const index = eigenvalues.findIndex((eigenvalue) => {
    carried += eigenvalue;
    return carried / total >= DRIFT_VARIANCE_SHARE;
  });
  return index + 1;
}

/** Hands over each row's centred lag stack; the array is used again for the next row. */
function forEachStack(model: WpcaModel, rows: TrainingRows, visit: (stack: Float64Array, row: number) => void): void {
  const { tags, lags, featureMeans } = model;
  const values = standardise(rows.values, model.standardisation);
  const stack = new Float64Array(lags * tags);
  for (let row = 0; row < rows.count; row += 1) {
    for (let lag = 0; lag < lags; lag += 1) {
      const from = Math.max(row - lag, 0) * tags;
      for (let tag = 0; tag < tags; tag += 1) {
        const feature = lag * tags + tag;
        stack[feature] = (values[from + tag] ?? 0) - (featureMeans[feature] ?? 0);
      }
    }
    visit(stack, row);
  }
}

function squaredLength({ components, weights }: Projection, stack: Float64Array): number {
  let sum = 0;
  for (let component = 0; component < components; component += 1) {
    const from = component * stack.length;
    let projected = 0;
    for (let feature = 0; feature < stack.length; feature += 1) {
      projected += (weights[from + feature] ?? 0) * (stack[feature] ?? 0);
    }
    sum += projected * projected;
  }
  return sum;
}

/** Mean over the last `width` values, or over as many as there are. */
function trailingMean(values: Float64Array, width: number): Float64Array {
  return values.map((_, index) => {
    const from = Math.max(0, index - width + 1);
    let sum = 0;
    for (let at = from; at <= index; at += 1) sum += values[at] ?? 0;
    return sum / (index - from + 1);
  });
}
