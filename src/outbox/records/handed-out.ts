type Window = { readonly from: number; readonly to: number };

/**
 * Records that the uplinks have read and not acknowledged. The receiver may have them already, so they are not dropped: a
 * loss record would name records that arrived. In memory only: after a restart every uplink reads again.
 */
export class HandedOut {
  readonly #bytesMax: number;
  #uplinks = 1;
  /** Last sequence when the file was opened. */
  openedAt = 0;
  readonly #windows = new Map<string, Window>();

  /** @param bytesMax Maximum size of one read of each uplink together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Maximum size of one read of an uplink, which may have a single larger record. An uplink has at most two reads. */
  get readBytesMax(): number {
    return this.#bytesMax / this.#uplinks;
  }

  /** Divides the size between the uplinks. */
  share(uplinks: number): void {
    this.#uplinks = Math.max(1, uplinks);
  }

  /** The uplink has the records from one sequence to another, in addition to those of its last reads. */
  add(uplink: string, from: number, to: number): void {
    const window = this.#windows.get(uplink);
    this.#windows.set(uplink, { from: Math.min(from, window?.from ?? from), to });
  }

  /** The uplink reads again from its cursor. */
  release(uplink: string): void {
    this.#windows.delete(uplink);
  }

  /** The uplink has settled its records up to `sequence`. */
  settled(uplink: string, sequence: number): void {
    const window = this.#windows.get(uplink);
    if (window === undefined || sequence < window.from || sequence > window.to) return;
    if (sequence === window.to) this.#windows.delete(uplink);
    else this.#windows.set(uplink, { from: sequence + 1, to: window.to });
  }

  /** True if an uplink has records between two sequences, both excluded. */
  between(after: number, before: number): boolean {
    return [...this.#windows.values()].some(({ from, to }) => from < before && to > after);
  }

  /** True if an uplink may have received a record: it has it now, or may have had it before the file was opened. */
  mayHave(sequence: number): boolean {
    return sequence <= this.openedAt || this.between(sequence - 1, sequence + 1);
  }

  /** Returns the ranges (after, through] of sequences up to `last` that no uplink has, in order. */
  *free(last: number): Generator<{ readonly after: number; readonly through: number }> {
    let after = 0;
    for (const { from, to } of [...this.#windows.values()].toSorted((a, b) => a.from - b.from)) {
      if (from - 1 > after) yield { after, through: Math.min(from - 1, last) };
      after = Math.max(after, to);
    }
    if (after < last) yield { after, through: last };
  }
}
