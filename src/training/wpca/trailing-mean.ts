/** Mean over the last `width` values, or over as many as there are. */
export function trailingMean(values: Float64Array, width: number): Float64Array {
  return values.map((_, index) => {
    const from = Math.max(0, index - width + 1);
    let sum = 0;
    for (let at = from; at <= index; at += 1) sum += values[at] ?? 0;
    return sum / (index - from + 1);
  });
}

/** Trailing mean of vectors, one after the other, in constant time for each. */
export class TrailingMeanVector {
  readonly mean: Float64Array;
  readonly #width: number;
  readonly #sums: Float64Array;
  readonly #last: Float64Array[] = [];

  constructor(length: number, width: number) {
    this.mean = new Float64Array(length);
    this.#sums = new Float64Array(length);
    this.#width = width;
  }

  /** Adds the next vector, which is copied, and updates `mean`. */
  add(vector: Float64Array): void {
    const leaving = this.#last.length === this.#width ? this.#last.shift() : undefined;
    this.#last.push(vector.slice());
    for (let index = 0; index < vector.length; index += 1) {
      const sum = (this.#sums[index] ?? 0) + (vector[index] ?? 0) - (leaving?.[index] ?? 0);
      this.#sums[index] = sum;
      this.mean[index] = sum / this.#last.length;
    }
  }
}
