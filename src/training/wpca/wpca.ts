import { trainingFailure } from '../core/training-errors.ts';
import { EigenvalueDecomposition } from 'ml-matrix';
import { triangleCells } from '../../domain/model/imputation.ts';
import { lagMoments } from './lag-covariance.ts';
import { fitStandardisation, type Standardisation, standardise } from '../core/standardisation.ts';
import { countRows, type TrainingRows } from '../core/training-rows.ts';
import { fitRoughness, type Roughness } from './roughness.ts';

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
/** Rows of the trailing means of T², R² and the roughness. */
export const SMOOTHING_ROWS = 30;
/** Rows of the trailing mean of the whitened rest: longer, for small shifts that last. */
export const SHIFT_ROWS = 60;
/** Rows of the trailing mean of the whitened rest's square, for faults that show only part of the time. */
export const LASTING_ROWS = 120;

/** Whitening projection of lag-stacked rows: weights of shape [components, features], row-major. */
export type Projection = { readonly components: number; readonly weights: Float64Array };

/**
 * Whitened principal component analysis of lag-stacked rows: a model of normal running.
 *
 * The leading components carry slow drift and feed T² with a wide margin. The rest, whitened with a ridge, gives R², which
 * detects that tags no longer move together, its mean over more rows, and M, the length of its mean, which detects small lasting
 * shifts. V, the roughness, detects stuck and noisy tags.
 */
export type WpcaModel = {
  readonly tags: number;
  readonly lags: number;
  readonly standardisation: Standardisation;
  /** Mean of each lag-stacked feature, feature = lag · tags + tag. */
  readonly featureMeans: Float64Array;
  readonly drift: Projection;
  readonly rest: Projection;
  readonly roughness: Roughness;
};

/**
 * Rows that a judgement looks back on, the judged row included.
 *
 * @param isLasting True if the mean over `LASTING_ROWS` has a limit.
 */
export function windowRows({ lags }: Pick<WpcaModel, 'lags'>, isLasting = false): number {
  return lags + (isLasting ? LASTING_ROWS : SHIFT_ROWS) - 1;
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
    standardisation,
    featureMeans: means,
    drift: whiten(0, split, 0),
    rest: whiten(split, features, ridge),
    roughness: fitRoughness(standardised, SMOOTHING_ROWS),
  };
}

/**
 * Returns the inverse of the covariance matrix of the lag stacks, with the ridge of the rest: its upper triangle as little-endian
 * float32 in base64.
 */
export function precisionOf({ tags, lags, drift, rest }: WpcaModel): string {
  const features = lags * tags;
  const bytes = Buffer.alloc(4 * triangleCells(features));
  const product = ({ components, weights }: Projection, a: number, b: number) => {
    let sum = 0;
    for (let from = 0; from < components * features; from += features)
      sum += (weights[from + a] ?? 0) * (weights[from + b] ?? 0);
    return sum;
  };
  let at = 0;
  for (let a = 0; a < features; a += 1)
    for (let b = a; b < features; b += 1, at += 4) bytes.writeFloatLE(product(drift, a, b) + product(rest, a, b), at);
  return bytes.toString('base64');
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
