import type { Judged } from './algorithm.ts';
import { softmax } from './calibration.ts';

/**
 * Returns scores and probabilities for logits, like the graph's `addClassOutputs`.
 *
 * @param logits Shape [rows, classes].
 */
export function classified(logits: Float64Array, classes: number, temperature: number): Judged {
  const probabilities = softmax(logits, classes, temperature);
  const scores = Float64Array.from({ length: probabilities.length / classes }, (_, row) => {
    let sum = 0;
    for (let index = 1; index < classes; index += 1) sum += probabilities[row * classes + index] ?? 0;
    return sum;
  });
  return { scores, probabilities };
}
