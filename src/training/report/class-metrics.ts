import { indexOfLargest, mean } from '../core/statistics.ts';

/** Bins of the reliability diagram that the calibration error sums over. */
const CALIBRATION_BINS = 10;
/** Keeps the loss of a class with probability 0 finite. */
const PROBABILITY_MIN = 1e-12;

/** Quality of a classification on held-out rows. */
export type ClassMetrics = {
  readonly rows: number;
  /** Share of rows with the right class. */
  readonly accuracy: number;
  /** Mean of the classes' F1: a rare class counts as much as a common one. */
  readonly macroF1: number;
  /** F1 in the order of the classes; 0 for a class that is never right. */
  readonly f1: readonly number[];
  /** Mean of −ln of the probability of the true class. */
  readonly logLoss: number;
  /** Mean distance between the largest probability and its hit rate (expected calibration error), 0–1. */
  readonly calibrationError: number;
  /** Rows of class i classified as j: shape [classes, classes], row-major. */
  readonly confusion: Int32Array;
};

/**
 * @param probabilities Shape [rows, classes], row-major.
 * @param labels Index of the class of each row.
 */
export function classMetrics(probabilities: Float64Array, labels: ArrayLike<number>, classes: number): ClassMetrics {
  const rows = labels.length;
  const confusion = new Int32Array(classes * classes);
  let losses = 0;
  for (let row = 0; row < rows; row += 1) {
    const label = labels[row] ?? 0;
    const cell = label * classes + likeliest(probabilities, row, classes);
    confusion[cell] = (confusion[cell] ?? 0) + 1;
    losses -= Math.log(Math.max(probabilities[row * classes + label] ?? 0, PROBABILITY_MIN));
  }
  const f1 = Array.from({ length: classes }, (_, index) => f1Of(confusion, classes, index));
  const right = confusion.filter((_, cell) => cell % (classes + 1) === 0).reduce((sum, count) => sum + count, 0);
  return {
    rows,
    accuracy: right / rows,
    macroF1: mean(f1),
    f1,
    logLoss: losses / rows,
    calibrationError: calibrationError(probabilities, labels, classes),
    confusion,
  };
}

/**
 * Returns the guess without a model: every row gets the frequencies of the classes in the training labels.
 *
 * @returns Shape [rows, classes], row-major.
 */
export function naiveProbabilities(labels: ArrayLike<number>, rows: number, classes: number): Float64Array {
  const counts = new Float64Array(classes);
  for (let row = 0; row < labels.length; row += 1) counts[labels[row] ?? 0] = (counts[labels[row] ?? 0] ?? 0) + 1;
  return Float64Array.from({ length: rows * classes }, (_, index) => (counts[index % classes] ?? 0) / labels.length);
}

function likeliest(probabilities: Float64Array, row: number, classes: number): number {
  return indexOfLargest(probabilities.subarray(row * classes, (row + 1) * classes));
}

function f1Of(confusion: Int32Array, classes: number, index: number): number {
  let named = 0;
  let were = 0;
  for (let other = 0; other < classes; other += 1) {
    named += confusion[other * classes + index] ?? 0;
    were += confusion[index * classes + other] ?? 0;
  }
  return named + were === 0 ? 0 : (2 * (confusion[index * classes + index] ?? 0)) / (named + were);
}

function calibrationError(probabilities: Float64Array, labels: ArrayLike<number>, classes: number): number {
  const named = Array.from(labels, (_, row) => likeliest(probabilities, row, classes));
  return binnedError(
    named.map((label, row) => probabilities[row * classes + label] ?? 0),
    named.map((label, row) => label === labels[row]),
  );
}

/**
 * Returns the mean distance between predicted and observed frequency, over bins of equal width (expected calibration error).
 *
 * @see Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2.
 */
export function binnedError(predicted: readonly number[], happened: readonly boolean[]): number {
  const differences = new Float64Array(CALIBRATION_BINS);
  for (const [row, chance] of predicted.entries()) {
    const bin = Math.min(Math.floor(chance * CALIBRATION_BINS), CALIBRATION_BINS - 1);
    differences[bin] = (differences[bin] ?? 0) + chance - Number(happened[row]);
  }
  return differences.reduce((sum, difference) => sum + Math.abs(difference), 0) / predicted.length;
}

/**
 * Returns the mean precision over the recalls that the scores reach (area under the curve of precision and recall). It does
 * not depend on a threshold, and a rare class counts fully.
 *
 * @param isPositive True for at least one row.
 */
export function averagePrecision(scores: readonly number[], isPositive: readonly boolean[]): number {
  const order = [...scores.keys()].toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  let hits = 0;
  let sum = 0;
  // Rows with the same score are one step: their order means nothing.
  for (let at = 0; at < order.length;) {
    const score = scores[order[at] ?? 0];
    let end = at;
    let found = 0;
    for (; end < order.length && scores[order[end] ?? 0] === score; end += 1)
      found += Number(isPositive[order[end] ?? 0]);
    hits += found;
    sum += (found * hits) / end;
    at = end;
  }
  return sum / hits;
}
