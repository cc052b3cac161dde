/** Even numbers in 0–1 from a 32-bit state (Marsaglia's xorshift): the same for the same seed, everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
