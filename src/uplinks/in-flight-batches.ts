import type { RecordBatch } from '../domain/record/record-batch.ts';

/** A result that the outbox must store, for batches in their order. */
export type Settlement =
  | { readonly type: 'acknowledge'; readonly batches: readonly RecordBatch[] }
  | {
      readonly type: 'set-aside';
      readonly batch: RecordBatch;
      readonly code: string;
      readonly reason: string;
    };

/** Results that are stored together while other batches are in flight. */
const STORED_TOGETHER = 8;

type Outcome = 'waiting' | 'in-flight' | Settlement;

/**
 * Batches that were read from the outbox and are not settled.
 *
 * Several batches may be in flight, and their results arrive in any order. The outbox gets the results in the order
 * of the records, because its cursor moves only over settled records.
 */
export class InFlightBatches {
  #batches: { readonly batch: RecordBatch; outcome: Outcome }[] = [];
  #isDropped = false;

  /** Adds batches of the next read, behind the others. */
  add(batches: readonly RecordBatch[]): void {
    this.#batches.push(...batches.map((batch) => ({ batch, outcome: 'waiting' as const })));
  }

  /** Marks the oldest waiting batch as in flight and returns it; undefined if no batch waits. */
  next(): RecordBatch | undefined {
    const entry = this.#batches.find(({ outcome }) => outcome === 'waiting');
    if (entry !== undefined) entry.outcome = 'in-flight';
    return entry?.batch;
  }

  /** True while a batch is not settled. */
  get open(): boolean {
    return this.#batches.some(({ outcome }) => typeof outcome === 'string');
  }

  /** True once a result could not be stored. Later results are dropped, and their records are read again. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /**
   * True if results are to be stored now: some have collected, or no other is on the way that could be stored with them.
   * Each call of the outbox wakes two threads, which costs more than to send a batch.
   */
  get isStoringDue(): boolean {
    const pending = this.#batches.findIndex(({ outcome }) => typeof outcome === 'string');
    const settled = pending === -1 ? this.#batches.length : pending;
    return settled >= STORED_TOGETHER || this.#batches.every(({ outcome }) => outcome !== 'in-flight');
  }

  /** The batch was not acknowledged: it waits again, at its position. */
  giveBack(batch: RecordBatch): void {
    this.#conclude(batch, 'waiting');
  }

  acknowledge(batch: RecordBatch): void {
    this.#conclude(batch, { type: 'acknowledge', batches: [batch] });
  }

  refuse(batch: RecordBatch, code: string, reason: string): void {
    this.#conclude(batch, { type: 'set-aside', batch, code, reason });
  }

  /** Replaces a batch of two or more records by its two halves. */
  split(batch: RecordBatch): void {
    this.#batches = this.#batches.flatMap((entry) =>
      entry.batch === batch ? batch.halves().map((half) => ({ batch: half, outcome: 'waiting' as const })) : [entry],
    );
  }

  /** Divides each waiting batch over `bytesMax` into smaller ones. */
  fit(bytesMax: number): void {
    this.#batches = this.#batches.flatMap((entry) => {
      const { batch, outcome } = entry;
      if (outcome !== 'waiting' || batch.bytes <= bytesMax) return [entry];
      return batch.within(bytesMax).map((part) => ({ batch: part, outcome: 'waiting' as const }));
    });
  }

  /**
   * Removes and returns the next result for the outbox; undefined if the first batch is not settled. Adjacent
   * acknowledgements are joined, because each call costs the outbox a commit.
   */
  takeSettled(): Settlement | undefined {
    const [first] = this.#batches;
    if (this.#isDropped || first === undefined || typeof first.outcome === 'string') return undefined;
    if (first.outcome.type !== 'acknowledge') {
      this.#batches.shift();
      return first.outcome;
    }
    const end = this.#batches.findIndex(({ outcome }) => typeof outcome === 'string' || outcome.type !== 'acknowledge');
    const joined = this.#batches.splice(0, end === -1 ? this.#batches.length : end);
    return { type: 'acknowledge', batches: joined.map(({ batch }) => batch) };
  }

  /** Drops all results, now and later. */
  dropSettled(): void {
    this.#isDropped = true;
  }

  #conclude(batch: RecordBatch, outcome: Outcome): void {
    const entry = this.#batches.find((candidate) => candidate.batch === batch);
    if (entry !== undefined) entry.outcome = outcome;
  }
}
