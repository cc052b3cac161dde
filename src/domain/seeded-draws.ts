/**
 * Reproducible random numbers: the same seed gives the same numbers on every machine, so that the same rows give the same
 * model.
 *
 * @see Marsaglia, Xorshift RNGs, Journal of Statistical Software 8(14), 2003. Not for secrets.
 */
export class SeededDraws {
  #state: number;

  /** @param seed Any integer. Its low 32 bits are used. */
  constructor(seed: number) {
    // xorshift never leaves the state zero. The product separates seeds that differ by one.
    this.#state = Math.imul(seed, 0x9e3779b1) | 0 || 0x9e3779b9;
    for (let draw = 0; draw < 8; draw += 1) this.uniform();
  }

  /** Returns a uniform number, 0 ≤ n < 1. */
  uniform(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** Returns a standard normal number (Box and Muller). */
  normal(): number {
    // 1 − n is never zero, so the logarithm is finite.
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles the numbers in place (Fisher and Yates). */
  shuffle(numbers: Int32Array): void {
    for (let last = numbers.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.uniform() * (last + 1));
      const kept = numbers[last] ?? 0;
      numbers[last] = numbers[other] ?? 0;
      numbers[other] = kept;
    }
  }

  /** Returns `size` of the given numbers without repetition, in their original order. */
  sample(numbers: Int32Array, size: number): Int32Array {
    const chosen = new Int32Array(Math.min(size, numbers.length));
    let taken = 0;
    for (let index = 0; index < numbers.length && taken < chosen.length; index += 1) {
      if (this.uniform() * (numbers.length - index) >= chosen.length - taken) continue;
      chosen[taken] = numbers[index] ?? 0;
      taken += 1;
    }
    return chosen;
  }
}
