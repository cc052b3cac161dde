import { type RecordKind, recordKinds } from '../../domain/record/record.ts';

/** Sequences that share one count: 2^12. */
const BUCKET_SHIFT = 12;
export const BUCKET_SPAN = 2 ** BUCKET_SHIFT;

export function bucketOf(sequence: number): number {
  return Math.floor(sequence / BUCKET_SPAN);
}

/** A range (after, through] of sequences within one bucket. `pure` if the bucket has records of these kinds only. */
type CountedSpan = {
  readonly after: number;
  readonly through: number;
  readonly count: number;
  readonly whole: boolean;
  readonly pure: boolean;
};

/**
 * Number of records of each kind, in buckets of 4096 sequences. Counting the waiting records and finding the next record
 * of a kind needs no table scan. Takes about 50 bytes for every 4096 records.
 */
export class RecordCounts {
  readonly #buckets = new Map<number, Int32Array>();
  readonly #changed = new Set<number>();
  #first = Infinity;
  #last = -1;

  add(sequence: number, kind: RecordKind, count = 1): void {
    const bucket = bucketOf(sequence);
    let counts = this.#buckets.get(bucket);
    if (counts === undefined) {
      if (count < 0) return;
      counts = new Int32Array(recordKinds.length);
      this.#buckets.set(bucket, counts);
      this.#first = Math.min(this.#first, bucket);
      this.#last = Math.max(this.#last, bucket);
    }
    this.#changed.add(bucket);
    const index = recordKinds.indexOf(kind);
    counts[index] = (counts[index] ?? 0) + count;
    if (count < 0 && counts.every((value) => value <= 0)) this.#drop(bucket);
  }

  /** First bucket with a record; Infinity without records. */
  get first(): number {
    return this.#first;
  }

  #drop(bucket: number): void {
    this.#buckets.delete(bucket);
    while (this.#first <= this.#last && !this.#buckets.has(this.#first)) this.#first += 1;
    if (this.#first > this.#last) [this.#first, this.#last] = [Infinity, -1];
  }

  /** Adds a bucket that was read from the file. */
  load(bucket: number, counts: readonly number[]): void {
    this.#buckets.set(bucket, Int32Array.from(counts));
    this.#first = Math.min(this.#first, bucket);
    this.#last = Math.max(this.#last, bucket);
  }

  /** Removes a bucket, which the caller then counts again. */
  clear(bucket: number): void {
    this.#changed.add(bucket);
    this.#drop(bucket);
  }

  /**
   * Returns the full buckets that changed since the last call, with their counts; undefined for an empty one.
   * @param sequence Last sequence given out. Its bucket still grows and is omitted.
   */
  takeChanged(
    sequence: number,
  ): readonly { readonly bucket: number; readonly counts: readonly number[] | undefined }[] {
    const growing = bucketOf(sequence);
    const taken = [...this.#changed].filter((bucket) => bucket < growing);
    for (const bucket of taken) this.#changed.delete(bucket);
    return taken.map((bucket) => {
      const counts = this.#buckets.get(bucket);
      return { bucket, counts: counts === undefined ? undefined : [...counts] };
    });
  }

  total(kinds: readonly RecordKind[] = recordKinds): number {
    let total = 0;
    for (const counts of this.#buckets.values()) total += sum(counts, kinds);
    return total;
  }

  /**
   * Returns the ranges (after, through] of sequences with records of these kinds, oldest first. Each is within one
   * bucket and has a count: exact for a whole bucket, an upper bound for a part of one.
   */
  *spans(kinds: readonly RecordKind[], after: number, through: number): Generator<CountedSpan> {
    const from = Math.max(this.#first, Math.floor((after + 1) / BUCKET_SPAN));
    const to = Math.min(this.#last, Math.floor(through / BUCKET_SPAN));
    for (let bucket = from; bucket <= to; bucket += 1) {
      const counts = this.#buckets.get(bucket);
      const count = counts === undefined ? 0 : sum(counts, kinds);
      if (count <= 0) continue;
      const start = bucket * BUCKET_SPAN - 1;
      const end = start + BUCKET_SPAN;
      yield {
        after: Math.max(after, start),
        through: Math.min(through, end),
        count,
        whole: after <= start && through >= end,
        pure: counts !== undefined && sum(counts, recordKinds) === count,
      };
    }
  }
}

function sum(counts: Int32Array, kinds: readonly RecordKind[]): number {
  let total = 0;
  for (const kind of kinds) total += counts[recordKinds.indexOf(kind)] ?? 0;
  return total;
}
