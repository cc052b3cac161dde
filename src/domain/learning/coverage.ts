import type { EpochMs } from '../epoch-ms.ts';

const BUCKET_MS_MIN = 1_000;
const BUCKET_MS_MAX = 60_000;
/** Buckets of a whole learning time, unless they would be longer or shorter than the limits. */
const BUCKETS = 100;

/**
 * How much of the time all tags of a watch had good values: what a model can be trained on. Time is counted in buckets
 * of one second to one minute. Values of a tag must be added in order of time.
 */
export class Coverage {
  /** Length of a bucket, ms. */
  readonly bucketMs: number;
  readonly #maxAgeMs: number;
  /** Number of tags with a value, by bucket. */
  readonly #tagsIn = new Map<number, number>();
  readonly #lastBucket: Float64Array;
  readonly #counts: Float64Array;
  #complete = 0;
  #first: number | undefined;

  /**
   * @param tags Number of tags.
   * @param neededMs Time that must be covered.
   * @param maxAgeMs How long a value counts.
   */
  constructor(tags: number, neededMs: number, maxAgeMs: number) {
    this.bucketMs = Math.min(Math.max(neededMs / BUCKETS, BUCKET_MS_MIN), BUCKET_MS_MAX);
    this.#maxAgeMs = maxAgeMs;
    this.#lastBucket = new Float64Array(tags).fill(-Infinity);
    this.#counts = new Float64Array(tags);
  }

  /** Time in which every tag had a good value, ms. */
  get coveredMs(): number {
    return this.#complete * this.bucketMs;
  }

  /** Start of the first bucket with a value of any tag; undefined if there is none. */
  get firstMs(): EpochMs | undefined {
    return this.#first === undefined ? undefined : this.#first * this.bucketMs;
  }

  /** Time in which each tag had a good value, ms. */
  tagMs(): readonly number[] {
    return Array.from(this.#counts, (count) => count * this.bucketMs);
  }

  /**
   * Adds a good value of a tag, which counts until it is too old.
   *
   * @param nowMs Time that is not in the future.
   */
  add(tag: number, timeMs: EpochMs, nowMs: EpochMs): void {
    const from = Math.max(this.#bucket(timeMs), (this.#lastBucket[tag] ?? 0) + 1);
    const to = this.#bucket(Math.min(timeMs + this.#maxAgeMs, nowMs));
    for (let bucket = from; bucket <= to; bucket += 1) {
      const tagsIn = (this.#tagsIn.get(bucket) ?? 0) + 1;
      this.#tagsIn.set(bucket, tagsIn);
      this.#counts[tag] = (this.#counts[tag] ?? 0) + 1;
      if (tagsIn === this.#counts.length) this.#complete += 1;
    }
    if (to < from) return;
    this.#lastBucket[tag] = to;
    this.#first = Math.min(this.#first ?? from, from);
  }

  #bucket(timeMs: EpochMs): number {
    return Math.floor(timeMs / this.bucketMs);
  }
}
