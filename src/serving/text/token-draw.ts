import type { Logits } from '../v2/decoder.ts';
import { wrongOutput } from '../v2/decoder.ts';

export type DrawOptions = {
  /** 0 takes the likeliest token each time; 1 draws as the model says; more is more even. */
  readonly temperature: number;
  /** Draws among so many of the likeliest, and those that are as likely as the last of them; undefined among all. */
  readonly topK: number | undefined;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
};

/**
 * Draws a token by the softmax of its scores over the temperature.
 *
 * @throws {OperatingError} 'model-output-invalid' where a score is NaN, or none is finite and the largest.
 */
export function drawToken(logits: Logits, { temperature, topK, random }: DrawOptions): number {
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const largest = logits[best] ?? 0;
  const least = topK === undefined || topK >= logits.length ? Number.NEGATIVE_INFINITY : leastOf(logits, topK);
  // The largest is taken off first, so that no exponential overflows.
  const weights = Float64Array.from(logits, (logit) => (logit < least ? 0 : Math.exp((logit - largest) / temperature)));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.findIndex((weight) => (left -= weight) < 0);
  // Sums of floats may leave a rest.
  return drawn === -1 ? best : drawn;
}

/** The first of the largest. */
function likeliest(logits: Logits): number {
  let best = 0;
  for (let token = 0; token < logits.length; token += 1) {
    const logit = logits[token] ?? Number.NaN;
    if (Number.isNaN(logit)) throw wrongOutput(`The decoder's score of token ${token} is not a number`);
    if (logit > (logits[best] ?? 0)) best = token;
  }
  if (!Number.isFinite(logits[best])) throw wrongOutput(`The decoder's largest score is ${logits[best]}`);
  return best;
}

/** The smallest of the `count` largest. */
function leastOf(logits: Logits, count: number): number {
  return Float64Array.from(logits).sort()[logits.length - count] ?? Number.NEGATIVE_INFINITY;
}
