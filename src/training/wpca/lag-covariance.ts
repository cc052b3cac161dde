import { Matrix } from 'ml-matrix';
import type { TrainingRows } from '../core/training-rows.ts';

/** Mean and covariance of lag-stacked rows f_t = [z_t, z_{t−1}, …, z_{t−L+1}]; feature = lag · tags + tag. */
export type LagMoments = { readonly count: number; readonly means: Float64Array; readonly covariance: Matrix };

/**
 * Moments of the lag-stacked rows of every segment; no stack crosses from one segment to the next.
 *
 * The sum of products of lags i and j differs from that of lags i−1 and j−1 by one product that leaves and one that
 * enters. So only the products with lag 0 are summed over all rows: rows · L · tags² steps instead of the
 * rows · L² · tags² of a stacked matrix, and no stacked copy.
 *
 * @param segments Standardised, so that the sums of products lose no digits.
 * @returns Covariance with n − 1 below the line.
 */
export function lagMoments(segments: readonly TrainingRows[], lags: number): LagMoments {
  const tags = segments[0]?.tags ?? 0;
  const features = lags * tags;
  const sums = new Float64Array(features);
  const products = new Float64Array(features * features);
  let count = 0;
  for (const segment of segments) {
    if (segment.count < lags) continue;
    count += segment.count - lags + 1;
    addSums(sums, segment, lags);
    addProducts(products, segment, lags);
  }
  const means = sums.map((sum) => sum / count);
  const covariance = Matrix.zeros(features, features);
  for (let row = 0; row < features; row += 1) {
    for (let column = 0; column < features; column += 1) {
      const product = products[Math.min(row, column) * features + Math.max(row, column)] ?? 0;
      covariance.set(row, column, (product - count * (means[row] ?? 0) * (means[column] ?? 0)) / (count - 1));
    }
  }
  return { count, means, covariance };
}

function addSums(sums: Float64Array, { count, tags, values }: TrainingRows, lags: number): void {
  for (let lag = 0; lag < lags; lag += 1) {
    for (let row = lags - 1 - lag; row < count - lag; row += 1) {
      for (let tag = 0; tag < tags; tag += 1) {
        const feature = lag * tags + tag;
        sums[feature] = (sums[feature] ?? 0) + (values[row * tags + tag] ?? 0);
      }
    }
  }
}

/** Fills the upper triangle, diagonal included. */
function addProducts(products: Float64Array, rows: TrainingRows, lags: number): void {
  const { count, tags, values } = rows;
  const features = lags * tags;
  for (let lag = 0; lag < lags; lag += 1) {
    for (let tag = 0; tag < tags; tag += 1) {
      for (let other = lag === 0 ? tag : 0; other < tags; other += 1) {
        let product = productWithLagZero(rows, lags, tag, lag, other);
        add(products, tag * features + lag * tags + other, product);
        for (let shift = 1; shift + lag < lags; shift += 1) {
          const later = values[(count - shift) * tags + tag] ?? 0;
          const laterOther = values[(count - shift - lag) * tags + other] ?? 0;
          const earlier = values[(lags - 1 - shift) * tags + tag] ?? 0;
          const earlierOther = values[(lags - 1 - shift - lag) * tags + other] ?? 0;
          product += earlier * earlierOther - later * laterOther;
          add(products, (shift * tags + tag) * features + (shift + lag) * tags + other, product);
        }
      }
    }
  }
}

/** Σ z_t[tag] · z_{t−lag}[other] over t = L−1 … count−1. */
function productWithLagZero(
  { count, tags, values }: TrainingRows,
  lags: number,
  tag: number,
  lag: number,
  other: number,
): number {
  let sum = 0;
  for (let row = lags - 1; row < count; row += 1) {
    sum += (values[row * tags + tag] ?? 0) * (values[(row - lag) * tags + other] ?? 0);
  }
  return sum;
}

function add(target: Float64Array, index: number, value: number): void {
  target[index] = (target[index] ?? 0) + value;
}
