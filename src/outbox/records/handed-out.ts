import type { StoredRecord } from '../../domain/record/record.ts';

type Window = { readonly from: number; readonly to: number };

/**
 * Records that the uplinks have read and not acknowledged. The receiver may have them already, so they are not dropped: a
 * loss record would name records that arrived. In memory only: after a restart every uplink reads again.
 */
export class HandedOut {
  /**
   * Maximum size of one read of an uplink, which may have a single larger record. All uplinks together have at most an
   * eighth of the outbox.
   */
  readonly readBytesMax: number;
  readonly #windows = new Map<string, Window>();

  constructor(readBytesMax: number) {
    this.readBytesMax = readBytesMax;
  }

  /** A read replaces the one before: an uplink reads again only after the records before are settled. */
  read(uplink: string, records: readonly StoredRecord[]): void {
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) this.#windows.delete(uplink);
    else this.#windows.set(uplink, { from: first.sequence, to: last.sequence });
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

  has(sequence: number): boolean {
    return this.between(sequence - 1, sequence + 1);
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
