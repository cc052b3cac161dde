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
  let right = 0;
  for (let index = 0; index < classes; index += 1) right += confusion[index * classes + index] ?? 0;
  return {
    rows,
    accuracy: right / rows,
    macroF1: f1.reduce((sum, value) => sum + value, 0) / classes,
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

/** Returns the index of the largest probability of a row, the first of equals. */
function likeliest(probabilities: Float64Array, row: number, classes: number): number {
  let best = 0;
  for (let index = 1; index < classes; index += 1) {
    if ((probabilities[row * classes + index] ?? 0) > (probabilities[row * classes + best] ?? 0)) best = index;
  }
  return best;
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

/** @see Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 2. */
function calibrationError(probabilities: Float64Array, labels: ArrayLike<number>, classes: number): number {
  const said = new Float64Array(CALIBRATION_BINS);
  const right = new Float64Array(CALIBRATION_BINS);
  for (let row = 0; row < labels.length; row += 1) {
    const named = likeliest(probabilities, row, classes);
    const confidence = probabilities[row * classes + named] ?? 0;
    const bin = Math.min(Math.floor(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1);
    said[bin] = (said[bin] ?? 0) + confidence;
    if (named === labels[row]) right[bin] = (right[bin] ?? 0) + 1;
  }
  return said.reduce((sum, total, bin) => sum + Math.abs(total - (right[bin] ?? 0)), 0) / labels.length;
}
