import { recordJson, type StoredRecord } from '../domain/record/record.ts';

/** Records sent in one message; `bytes` is the size of their JSON, including commas. */
export type Batch = { readonly records: readonly StoredRecord[]; readonly bytes: number };

export type BatchLimits = { readonly recordsMax: number; readonly bytesMax: number };

/** A result that the outbox must store, for records in their order. */
export type Settlement =
  | { readonly type: 'acknowledge'; readonly records: readonly StoredRecord[] }
  | {
      readonly type: 'set-aside';
      readonly records: readonly StoredRecord[];
      readonly code: string;
      readonly reason: string;
    };

type Outcome = 'waiting' | 'in-flight' | Settlement;

/** Divides records into batches, in order. A record over `bytesMax` is a batch of its own. */
export function planBatches(records: readonly StoredRecord[], limits: BatchLimits): readonly Batch[] {
  const batches: Batch[] = [];
  let current: StoredRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const recordBytes = Buffer.byteLength(recordJson(record)) + 1;
    if (current.length > 0 && (current.length >= limits.recordsMax || bytes + recordBytes > limits.bytesMax)) {
      batches.push({ records: current, bytes });
      current = [];
      bytes = 0;
    }
    current.push(record);
    bytes += recordBytes;
  }
  if (current.length > 0) batches.push({ records: current, bytes });
  return batches;
}

/**
 * The batches of one read of the outbox.
 *
 * Several batches may be in flight, and their results arrive in any order. The outbox gets the results in the order
 * of the records, because its cursor moves only over settled records.
 */
export class InFlightBatches {
  readonly #batches: { batch: Batch; outcome: Outcome }[];
  #isDropped = false;

  constructor(batches: readonly Batch[]) {
    this.#batches = batches.map((batch) => ({ batch, outcome: 'waiting' }));
  }

  /** Marks the oldest waiting batch as in flight and returns it; undefined if no batch waits. */
  next(): Batch | undefined {
    const entry = this.#batches.find(({ outcome }) => outcome === 'waiting');
    if (entry !== undefined) entry.outcome = 'in-flight';
    return entry?.batch;
  }

  /** True while a batch is not settled. */
  get open(): boolean {
    return this.#batches.some(({ outcome }) => typeof outcome === 'string');
  }

  /** The batch was not acknowledged: it waits again, at its position. */
  giveBack(batch: Batch): void {
    this.#conclude(batch, 'waiting');
  }

  acknowledge(batch: Batch): void {
    this.#conclude(batch, { type: 'acknowledge', records: batch.records });
  }

  refuse(batch: Batch, code: string, reason: string): void {
    this.#conclude(batch, { type: 'set-aside', records: batch.records, code, reason });
  }

  /** Replaces a batch of two or more records by its two halves. */
  split(batch: Batch): void {
    const middle = Math.ceil(batch.records.length / 2);
    const index = this.#batches.findIndex((entry) => entry.batch === batch);
    const halves = [batch.records.slice(0, middle), batch.records.slice(middle)].flatMap((records) =>
      planBatches(records, { recordsMax: records.length, bytesMax: Infinity }),
    );
    this.#batches.splice(index, 1, ...halves.map((half) => ({ batch: half, outcome: 'waiting' as const })));
  }

  /** Divides each waiting batch over `bytesMax` into smaller ones. */
  fit(bytesMax: number): void {
    const fitting = this.#batches.flatMap((entry) => {
      const { batch, outcome } = entry;
      if (outcome !== 'waiting' || batch.bytes <= bytesMax) return [entry];
      const smaller = planBatches(batch.records, { recordsMax: batch.records.length, bytesMax });
      return smaller.map((part) => ({ batch: part, outcome: 'waiting' as const }));
    });
    this.#batches.splice(0, this.#batches.length, ...fitting);
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
    return { type: 'acknowledge', records: joined.flatMap(({ batch }) => batch.records) };
  }

  /** Drops all results, now and later. */
  dropSettled(): void {
    this.#isDropped = true;
  }

  #conclude(batch: Batch, outcome: Outcome): void {
    const entry = this.#batches.find((candidate) => candidate.batch === batch);
    if (entry !== undefined) entry.outcome = outcome;
  }
}
