import { standardise } from '../core/standardisation.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { roughnessDistances } from './roughness.ts';
import { trailingMean, TrailingMeanVector } from './trailing-mean.ts';
import { LASTING_ROWS, type Projection, SHIFT_ROWS, SMOOTHING_ROWS, type WpcaModel } from './wpca.ts';

/**
 * Measures of the distance from normal running:
 *
 * - `drift`, T²: mean square of the leading components over `SMOOTHING_ROWS`;
 * - `rest`, R²: the same of the other components;
 * - `shift`, M: square of the mean of the other components over `SHIFT_ROWS`;
 * - `roughness`, V: the largest squared distance of a tag's roughness;
 * - `lasting`: as `rest`, over `LASTING_ROWS`.
 */
export const statisticNames = ['drift', 'rest', 'shift', 'roughness', 'lasting'] as const;
export type StatisticName = (typeof statisticNames)[number];
/** One number for each row. Before a full window, the first row stands for earlier ones, and the means are over fewer rows. */
export type WpcaStatistics = Readonly<Record<StatisticName, Float64Array>>;

/** Limit of each statistic, margins included. */
export type WpcaLimits = Readonly<Record<StatisticName, number>>;

/** Limit of a statistic that never alarms: it is constant in normal running, or not used. Finite in float32. */
export const NO_LIMIT = 1e30;

/** True if the mean over `LASTING_ROWS` is judged. */
export function usesLasting({ lasting }: WpcaLimits): boolean {
  return lasting < NO_LIMIT;
}

export function wpcaStatistics(model: WpcaModel, rows: TrainingRows): WpcaStatistics {
  const { count, tags } = rows;
  const drift = new Float64Array(count);
  const rest = new Float64Array(count);
  const shift = new Float64Array(count);
  const leading = new Float64Array(model.drift.components);
  const others = new Float64Array(model.rest.components);
  const lasting = new TrailingMeanVector(others.length, SHIFT_ROWS);
  const values = standardise(rows.values, model.standardisation);
  forEachStack(model, { ...rows, values }, (stack, row) => {
    project(model.drift, stack, leading);
    project(model.rest, stack, others);
    lasting.add(others);
    drift[row] = squaredLength(leading);
    rest[row] = squaredLength(others);
    shift[row] = squaredLength(lasting.mean);
  });
  const distances = roughnessDistances({ ...rows, values }, model.roughness, SMOOTHING_ROWS);
  return {
    drift: trailingMean(drift, SMOOTHING_ROWS),
    rest: trailingMean(rest, SMOOTHING_ROWS),
    shift,
    roughness: drift.map((_, row) =>
      distances.subarray(row * tags, (row + 1) * tags).reduce((a, b) => Math.max(a, b), 0),
    ),
    lasting: trailingMean(rest, LASTING_ROWS),
  };
}

/**
 * Returns the part of each tag in a statistic of the last row. The parts of all tags add up to the statistic, and single ones
 * may be negative. A roughness is the largest of its parts instead.
 *
 * @param window Rows of one window.
 */
export function wpcaContributions(model: WpcaModel, window: TrainingRows, statistic: StatisticName): Float64Array {
  const { tags } = model;
  const values = standardise(window.values, model.standardisation);
  const rows = { ...window, values };
  if (statistic === 'roughness') return roughnessDistances(rows, model.roughness, SMOOTHING_ROWS).slice(-tags);
  const width = statistic === 'shift' ? SHIFT_ROWS : statistic === 'lasting' ? LASTING_ROWS : SMOOTHING_ROWS;
  const projection = statistic === 'drift' ? model.drift : model.rest;
  const from = Math.max(rows.count - width, 0);
  const projected = new Float64Array(projection.components);
  const totals = new Float64Array(tags);
  const mean = new TrailingMeanVector(model.lags * tags, width);
  const add = (stack: Float64Array, share: number) => {
    project(projection, stack, projected);
    for (const [component, whole] of projected.entries())
      for (const [feature, value] of stack.entries()) {
        const part = (projection.weights[component * stack.length + feature] ?? 0) * value;
        totals[feature % tags] = (totals[feature % tags] ?? 0) + whole * part * share;
      }
  };
  forEachStack(model, rows, (stack, row) => {
    if (row < from) return;
    if (statistic === 'shift') mean.add(stack);
    else add(stack, 1 / (rows.count - from));
  });
  if (statistic === 'shift') add(mean.mean, 1);
  return totals;
}

/** Hands over each row's centred lag stack; the array is used again for the next row. @param rows Standardised. */
function forEachStack(model: WpcaModel, rows: TrainingRows, visit: (stack: Float64Array, row: number) => void): void {
  const { tags, lags, featureMeans } = model;
  const { values } = rows;
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

/** @param target Receives one number for each component. */
function project({ components, weights }: Projection, stack: Float64Array, target: Float64Array): void {
  for (let component = 0; component < components; component += 1) {
    const from = component * stack.length;
    let projected = 0;
    for (let feature = 0; feature < stack.length; feature += 1) {
      projected += (weights[from + feature] ?? 0) * (stack[feature] ?? 0);
    }
    target[component] = projected;
  }
}

function squaredLength(vector: Float64Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return sum;
}
