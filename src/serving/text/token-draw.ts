import { type Logits, wrongOutput } from '../v2/decoder.ts';

export type DrawOptions = {
  /** 0 selects the most likely token each time; 1 draws with the probabilities of the model; higher values draw more evenly. */
  readonly temperature: number;
  /** Draws from this number of the most likely tokens, and those as likely as the last of them; undefined for all. */
  readonly topK: number | undefined;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
};

/**
 * Draws a token by the softmax of its scores over the temperature.
 *
 * @throws {OperatingError} 'model-output-invalid' if a score is NaN, or the largest is not finite.
 */
export function drawToken(logits: Logits, { temperature, topK, random }: DrawOptions): number {
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const largest = logits[best] ?? 0;
  const least = topK === undefined || topK >= logits.length ? Number.NEGATIVE_INFINITY : leastOf(logits, topK);
  // The largest score is subtracted first, so that no exponential overflows.
  const weights = Float64Array.from(logits, (logit) => (logit < least ? 0 : Math.exp((logit - largest) / temperature)));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.findIndex((weight) => (left -= weight) < 0);
  // Rounding of the sum may leave a remainder.
  return drawn === -1 ? best : drawn;
}

/** Returns the index of the largest score; the first of several. */
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

/** Returns the smallest of the `count` largest scores. */
function leastOf(logits: Logits, count: number): number {
  return Float64Array.from(logits).sort()[logits.length - count] ?? Number.NEGATIVE_INFINITY;
}
