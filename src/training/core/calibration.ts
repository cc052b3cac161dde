import { mean } from './statistics.ts';

/** Range of temperatures; beyond it the fit is wrong and not only overconfident. */
const TEMPERATURE_MIN = 0.2;
const TEMPERATURE_MAX = 5;
/** Each step shrinks the bracket by 0.618, in total to a millionth. */
const SEARCH_STEPS = 32;

/** Returns class probabilities from logits, shape [rows, classes]. The largest logit is subtracted first to avoid overflow. */
export function softmax(logits: Float64Array, classes: number, temperature = 1): Float64Array {
  const probabilities = new Float64Array(logits.length);
  for (let from = 0; from < logits.length; from += classes) {
    const own = logits.subarray(from, from + classes);
    const largest = own.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
    const parts = own.map((logit) => Math.exp((logit - largest) / temperature));
    const total = parts.reduce((sum, part) => sum + part, 0);
    probabilities.set(
      parts.map((part) => part / total),
      from,
    );
  }
  return probabilities;
}

/** Returns the mean of −ln of the probability that the logits give to each label. */
export function logLoss(logits: Float64Array, labels: Float64Array, classes: number, temperature = 1): number {
  return mean(
    labels.map((label, row) => {
      const own = logits.subarray(row * classes, (row + 1) * classes);
      const largest = own.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
      const total = own.reduce((sum, logit) => sum + Math.exp((logit - largest) / temperature), 0);
      return Math.log(total) - ((own[label] ?? 0) - largest) / temperature;
    }),
  );
}

/** Returns the mean loss of outputs: −ln of the probability of the class, or the squared error of a quality. */
export function meanLoss(
  outputs: Float64Array,
  { targets, classes }: { readonly targets: Float64Array; readonly classes: number },
): number {
  if (classes > 0) return logLoss(outputs, targets, classes);
  return mean(outputs.map((output, row) => (output - (targets[row] ?? 0)) ** 2));
}

/**
 * Returns the temperature that calibrates the probabilities: logits are divided by it before the softmax. It changes the
 * confidence of the model, never the chosen class.
 *
 * @param classes 0 for a regression, which has the temperature 1.
 * @param logits Logits of rows that the fit did not use; shape [rows, classes].
 * @see Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
 */
export function fitTemperature(logits: Float64Array, labels: Float64Array, classes: number): number {
  if (classes === 0) return 1;
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(TEMPERATURE_MIN);
  let high = Math.log(TEMPERATURE_MAX);
  const loss = (logarithm: number) => logLoss(logits, labels, classes, Math.exp(logarithm));
  // The loss has one minimum along the logarithm of the temperature.
  for (let step = 0; step < SEARCH_STEPS; step += 1) {
    const left = high - golden * (high - low);
    const right = low + golden * (high - low);
    if (loss(left) < loss(right)) high = right;
    else low = left;
  }
  return Math.exp((low + high) / 2);
}
