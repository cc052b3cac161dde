/** A tag with more values than this is a measurement, not a state of the machine. */
const VALUES_MAX = 8;

/**
 * How long each state of the machine was seen: the values of tags with few whole-number values, such as a status, a recipe
 * or a bit. A tag with another value, or with more than eight, has no modes.
 */
export class Modes {
  /** By tag; undefined for a tag without modes. */
  readonly #seen = new Map<string, Map<number, number> | undefined>();

  /** Adds a time for which a tag had a value. */
  add(tag: string, value: number, forMs: number): void {
    const values = this.#seen.has(tag) ? this.#seen.get(tag) : new Map<number, number>();
    if (values === undefined) return;
    values.set(value, (values.get(value) ?? 0) + forMs);
    const isMode = Number.isInteger(value) && values.size <= VALUES_MAX;
    this.#seen.set(tag, isMode ? values : undefined);
  }

  /** Returns the values of each tag with modes, the value seen longest first. */
  seen(): readonly { readonly tag: string; readonly value: number; readonly seenMs: number }[] {
    return [...this.#seen].flatMap(([tag, values]) =>
      [...(values ?? [])]
        .toSorted(([, first], [, second]) => second - first)
        .map(([value, seenMs]) => ({ tag, value, seenMs })),
    );
  }
}
