type Window = { readonly from: number; readonly to: number };

/**
 * Records that the uplinks have read and not acknowledged. The receiver may have them already, so they are not dropped: a
 * loss record would name records that arrived. In memory only: after a restart every uplink reads again.
 */
export class HandedOut {
  /**
   * Maximum size of one read of an uplink, which may have a single larger record. An uplink has at most two reads, and all
   * uplinks together have at most an eighth of the outbox.
   */
  readonly readBytesMax: number;
  /** Last sequence when the file was opened. */
  openedAt = 0;
  readonly #windows = new Map<string, Window>();

  constructor(readBytesMax: number) {
    this.readBytesMax = readBytesMax;
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
