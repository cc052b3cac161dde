/** Least, mean and greatest of numbers. */
export class ValueRange {
  #count = 0;
  #min = Infinity;
  #max = -Infinity;
  #sum = 0;

  add(value: number): void {
    this.#count += 1;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    this.#sum += value;
  }

  get count(): number {
    return this.#count;
  }

  /** @returns Undefined without a number. The mean has seven digits. */
  get limits() {
    if (this.#count === 0) return undefined;
    return { min: this.#min, mean: Number((this.#sum / this.#count).toPrecision(7)), max: this.#max };
  }
}

/** Ranges by the name of a tag. */
export class TagRanges {
  readonly #ranges = new Map<string, ValueRange>();

  add(name: string, value: number | null): void {
    const range = this.#ranges.get(name) ?? new ValueRange();
    if (value !== null) range.add(value);
    this.#ranges.set(name, range);
  }

  /** Returns `[min, mean, max]` by name, with the count as a fourth element if it is not `count`; null without a value. */
  json(count: number) {
    return Object.fromEntries(
      [...this.#ranges].map(([name, range]) => {
        if (range.limits === undefined) return [name, null];
        const { min, mean, max } = range.limits;
        return [name, range.count === count ? [min, mean, max] : [min, mean, max, range.count]];
      }),
    );
  }
}
