import type { TrainingInput } from './algorithm.ts';
import { concatenated } from './statistics.ts';
import { trainingFailure } from './training-errors.ts';
import type { TrainingRows } from './training-rows.ts';
import { type FeatureRows, windowFeatures } from './window-features.ts';

/** Parts of the labelled rows, each of which is held out once. */
const BLOCKS = 5;
/** Intervals of a block, spread over the whole span: a single interval would represent one day only. */
const STRETCHES = 5;
/** Minimum number of labelled rows for a fit. */
export const LABELLED_ROWS_MIN = 100;
/** Default window in rows: each row is judged alone. */
export const LABELLED_WINDOW_ROWS = 1;
/** Up to this many rows, every block is held out in turn; with more rows, holding out the last block is enough. */
const ROWS_FOR_ALL_BLOCKS = 5000;

/** Rows with a label and a full window, in order of time. */
export type LabelledFeatures = FeatureRows & {
  /** A quality in its own unit, or the index of a class. */
  readonly targets: Float64Array;
  /** Number of classes; 0 for a regression. */
  readonly classes: number;
  readonly windowRows: number;
  readonly tags: number;
  /** Position of each row among all rows, gaps between runs included: shows how many rows two windows share. */
  readonly positions: Int32Array;
};

/** Rows for the fit and rows for the validation. */
export type Fold = { readonly fit: LabelledFeatures; readonly heldOut: LabelledFeatures };

/**
 * Returns the rows that have a label and a full window.
 *
 * @throws {OperatingError} 'training-too-few-rows' (reject), also if a class has no rows.
 */
export function labelledFeatures(
  { segments, targets, classes }: Pick<TrainingInput, 'segments' | 'targets' | 'classes'>,
  windowRows: number,
  featuresOf: (rows: TrainingRows, windowRows: number) => FeatureRows = windowFeatures,
  rowsMin = LABELLED_ROWS_MIN,
): LabelledFeatures {
  const values: Float64Array[] = [];
  const known: number[] = [];
  const positions: number[] = [];
  let first = 0;
  segments.forEach((segment, index) => {
    const found = featuresOf(segment, windowRows);
    for (let row = 0; row < found.count; row += 1) {
      const target = targets?.[index]?.[row + windowRows - 1] ?? Number.NaN;
      if (!Number.isFinite(target)) continue;
      known.push(target);
      positions.push(first + row);
      values.push(found.values.subarray(row * found.features, (row + 1) * found.features));
    }
    first += segment.count + windowRows;
  });
  checkLabels(known, classes, rowsMin);
  return {
    count: known.length,
    features: values[0]?.length ?? 0,
    values: concatenated(values),
    targets: Float64Array.from(known),
    classes: classes.length,
    windowRows,
    tags: segments[0]?.tags ?? 0,
    positions: Int32Array.from(positions),
  };
}

/** Returns the rows with the given indices. */
export function pickRows(rows: LabelledFeatures, indices: Int32Array): LabelledFeatures {
  const { features, values, targets, positions } = rows;
  const picked = new Float64Array(indices.length * features);
  indices.forEach((row, at) => picked.set(values.subarray(row * features, (row + 1) * features), at * features));
  return {
    ...rows,
    count: indices.length,
    values: picked,
    targets: Float64Array.from(indices, (row) => targets[row] ?? 0),
    positions: Int32Array.from(indices, (row) => positions[row] ?? 0),
  };
}

/**
 * Returns the splits for the choice of depth, rounds and penalties, and for the calibration.
 *
 * A block consists of intervals of each class, or of all rows for a regression: recordings sorted by class have every
 * class on both sides, and rows close in time stay together. Rows whose window overlaps a held-out window are excluded from
 * the fit, unless that removes half of its rows, as with faults as short as a window.
 */
export function folds(rows: LabelledFeatures): readonly Fold[] {
  const blockOf = blocks(rows);
  const all = rows.count <= ROWS_FOR_ALL_BLOCKS;
  return Array.from({ length: all ? BLOCKS : 1 }, (_, index) => foldOf(rows, blockOf, BLOCKS - 1 - index));
}

function blocks({ targets, classes }: LabelledFeatures): Uint8Array {
  const groups = targets.map((target) => (classes === 0 ? 0 : target));
  const seen = new Int32Array(Math.max(classes, 1));
  const before = groups.map((group) => (seen[group] = (seen[group] ?? 0) + 1) - 1);
  return Uint8Array.from(groups, (group, row) => {
    return Math.floor(((before[row] ?? 0) * BLOCKS * STRETCHES) / (seen[group] ?? 1)) % BLOCKS;
  });
}

function foldOf(rows: LabelledFeatures, blockOf: Uint8Array, block: number): Fold {
  const { count, positions, windowRows } = rows;
  const all = Int32Array.from({ length: count }, (_, row) => row);
  const heldOut = all.filter((row) => blockOf[row] === block);
  const others = all.filter((row) => blockOf[row] !== block);
  let next = 0;
  const apart = others.filter((row) => {
    while (next < heldOut.length && (heldOut[next] ?? 0) < row) next += 1;
    const position = positions[row] ?? 0;
    const overlaps = (other: number | undefined) =>
      other !== undefined && Math.abs((positions[other] ?? 0) - position) < windowRows;
    return !overlaps(heldOut[next]) && !overlaps(heldOut[next - 1]);
  });
  const fit = apart.length * 2 >= others.length ? apart : others;
  return { fit: pickRows(rows, fit), heldOut: pickRows(rows, heldOut) };
}

function checkLabels(targets: readonly number[], classes: readonly string[], rowsMin: number): void {
  if (targets.length < rowsMin)
    throw trainingFailure(
      'training-too-few-rows',
      `${targets.length} rows have a label and a full window; ${rowsMin} or more are needed`,
    );
  const counts = classes.map((_, index) => targets.filter((target) => target === index).length);
  const rare = counts.findIndex((count) => count < BLOCKS);
  if (rare >= 0)
    throw trainingFailure(
      'training-too-few-rows',
      `${counts[rare]} rows of class '${classes[rare]}'; ${BLOCKS} or more of each are needed`,
    );
}
