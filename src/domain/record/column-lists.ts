/** A list of names: JSON text, and a key that is unique among the lists of a read. */
export type NameList = { readonly key: number; readonly json: string };

/** Lists of names of a batch, as JSON by position; null for one that no record of the batch uses. */
export type UsedLists = readonly (string | null)[];

const NULL_BYTES = 5;

/** The lists of names of one read. Records refer to them by position; each batch has the lists that its records use. */
export class ColumnLists {
  readonly #positions = new Map<number, number>();
  readonly #lists: { readonly json: string; readonly bytes: number }[] = [];
  #used = new Set<number>();
  #usedBytes = 0;

  /** Returns the position of a list, which is added if it is new. */
  positionOf({ key, json }: NameList): number {
    const known = this.#positions.get(key);
    if (known !== undefined) return known;
    this.#positions.set(key, this.#lists.length);
    return this.#lists.push({ json, bytes: Buffer.byteLength(json) }) - 1;
  }

  /** Returns the most bytes of the lists of the current batch if it has one more record. */
  bytesWith(position: number | undefined): number {
    const added = position === undefined || this.#used.has(position) ? 0 : (this.#lists[position]?.bytes ?? 0);
    const bytes = this.#usedBytes + added;
    return bytes === 0 ? 0 : bytes + NULL_BYTES * this.#lists.length;
  }

  /** The current batch has a record with this list. */
  use(position: number | undefined): void {
    if (position === undefined || this.#used.has(position)) return;
    this.#used.add(position);
    this.#usedBytes += this.#lists[position]?.bytes ?? 0;
  }

  /** Returns the lists of the current batch, and begins the next one. */
  take(): UsedLists {
    const used = this.#used;
    this.#used = new Set();
    this.#usedBytes = 0;
    const end = Math.max(-1, ...used) + 1;
    return this.#lists.slice(0, end).map(({ json }, position) => (used.has(position) ? json : null));
  }
}

/** Returns the lists as a JSON array. */
export function columnsJson(lists: UsedLists): string {
  return `[${lists.map((list) => list ?? 'null').join(',')}]`;
}
