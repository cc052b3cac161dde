/** Temperatures that are thought of; beyond them the fit is wrong and not just too sure. */
const TEMPERATURE_MIN = 0.2;
const TEMPERATURE_MAX = 5;
/** Shrinks the bracket by 0.618 each time: to a millionth. */
const SEARCH_STEPS = 32;

/** Probabilities of classes from their logits, with the largest taken off first so that nothing overflows. Shape [rows, classes]. */
export function softmax(logits: Float64Array, classes: number, temperature = 1): Float64Array {
  const probabilities = new Float64Array(logits.length);
  for (let from = 0; from < logits.length; from += classes) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let index = from; index < from + classes; index += 1) largest = Math.max(largest, logits[index] ?? 0);
    let total = 0;
    for (let index = from; index < from + classes; index += 1) {
      const part = Math.exp(((logits[index] ?? 0) - largest) / temperature);
      probabilities[index] = part;
      total += part;
    }
    for (let index = from; index < from + classes; index += 1)
      probabilities[index] = (probabilities[index] ?? 0) / total;
  }
  return probabilities;
}

/** Mean of −ln of the probability that the logits give to each label. */
export function logLoss(logits: Float64Array, labels: Float64Array, classes: number, temperature = 1): number {
  let losses = 0;
  for (let row = 0; row < labels.length; row += 1) {
    const from = row * classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let index = from; index < from + classes; index += 1) largest = Math.max(largest, logits[index] ?? 0);
    let total = 0;
    for (let index = from; index < from + classes; index += 1) {
      total += Math.exp(((logits[index] ?? 0) - largest) / temperature);
    }
    losses += Math.log(total) - ((logits[from + (labels[row] ?? 0)] ?? 0) - largest) / temperature;
  }
  return losses / labels.length;
}

/**
 * The temperature that makes probabilities mean what they say: logits are divided by it before the softmax. It changes
 * how sure the model is, and never which class it names.
 *
 * @param logits Of rows that the fit did not see; shape [rows, classes].
 * @see Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
 */
export function fitTemperature(logits: Float64Array, labels: Float64Array, classes: number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(TEMPERATURE_MIN);
  let high = Math.log(TEMPERATURE_MAX);
  const loss = (logarithm: number) => logLoss(logits, labels, classes, Math.exp(logarithm));
  // The loss has one valley along the logarithm of the temperature.
  for (let step = 0; step < SEARCH_STEPS; step += 1) {
    const left = high - golden * (high - low);
    const right = low + golden * (high - low);
    if (loss(left) < loss(right)) high = right;
    else low = left;
  }
  return Math.exp((low + high) / 2);
}
