/**
 * Returns a generator of uniform numbers 0 ≤ n < 1, the same for the same seed on every machine.
 *
 * @param seed Any integer; its low 32 bits count.
 * @see Marsaglia, Xorshift RNGs, Journal of Statistical Software 8(14), 2003. Not for secrets.
 */
export function seededRandom(seed: number): () => number {
  // Zero is the one state that xorshift never leaves.
  let state = seed | 0 || 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Returns a number from the standard normal distribution. */
export function normalDraw(random: () => number): number {
  // 1 − n is never zero, whose logarithm would be infinite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
