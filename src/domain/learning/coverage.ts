import type { EpochMs } from '../epoch-ms.ts';

const BUCKET_MS_MIN = 1_000;
const BUCKET_MS_MAX = 60_000;
/** Buckets of a whole learning time, unless they would be longer or shorter than the limits. */
const BUCKETS = 100;
/** Times of the learning time that are kept: a training reads as much. */
const KEPT_TIMES = 2;

/**
 * How much of the time all tags of a watch had good values: what a model can be trained on. Time is counted in buckets
 * of one second to one minute, those of the last two learning times. Memory is bounded. If the clock is set back, later
 * buckets are discarded.
 */
export class Coverage {
  /** Length of a bucket, ms. */
  readonly bucketMs: number;
  readonly #maxAgeMs: number;
  readonly #tags: number;
  /** Number of buckets. Bucket `b` is at `b % kept` in the columns below. */
  readonly #kept: number;
  /** 1 if a tag has a value in a bucket, by bucket and tag. */
  readonly #has: Uint8Array;
  /** Number of tags with a value, by bucket. */
  readonly #tagsIn: Uint32Array;
  /** Last bucket of each tag. */
  readonly #last: Float64Array;
  readonly #counts: Float64Array;
  #complete = 0;
  #collected = 0;
  #first = Infinity;
  #newest: number | undefined;

  /**
   * @param tags Number of tags.
   * @param neededMs Time that must be covered.
   * @param maxAgeMs How long a value counts.
   */
  constructor(tags: number, neededMs: number, maxAgeMs: number) {
    this.bucketMs = Math.min(Math.max(neededMs / BUCKETS, BUCKET_MS_MIN), BUCKET_MS_MAX);
    this.#maxAgeMs = maxAgeMs;
    this.#tags = tags;
    this.#kept = Math.ceil((KEPT_TIMES * neededMs) / this.bucketMs) + 1;
    this.#has = new Uint8Array(this.#kept * tags);
    this.#tagsIn = new Uint32Array(this.#kept);
    this.#last = new Float64Array(tags).fill(-Infinity);
    this.#counts = new Float64Array(tags);
  }

  /** Time in which every tag had a good value, ms. */
  get coveredMs(): number {
    return this.#complete * this.bucketMs;
  }

  /** As `coveredMs`, but with the time that is no longer kept: it only increases. */
  get collectedMs(): number {
    return this.#collected * this.bucketMs;
  }

  /** Start of the first bucket with a value of any tag; undefined if there is none. */
  get firstMs(): EpochMs | undefined {
    const newest = this.#newest ?? -Infinity;
    const first = Math.max(this.#first, newest - this.#kept + 1);
    return first > newest ? undefined : first * this.bucketMs;
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
    const newest = this.#moveTo(this.#bucket(nowMs));
    const from = Math.max(this.#bucket(timeMs), (this.#last[tag] ?? 0) + 1, newest - this.#kept + 1);
    const to = Math.min(this.#bucket(timeMs + this.#maxAgeMs), newest);
    for (let bucket = from; bucket <= to; bucket += 1) this.#mark(tag, bucket % this.#kept);
    if (to < from) return;
    this.#last[tag] = to;
    this.#first = Math.min(this.#first, from);
  }

  #mark(tag: number, slot: number): void {
    const cell = slot * this.#tags + tag;
    if (this.#has[cell] === 1) return;
    this.#has[cell] = 1;
    this.#counts[tag] = (this.#counts[tag] ?? 0) + 1;
    const tagsIn = (this.#tagsIn[slot] ?? 0) + 1;
    this.#tagsIn[slot] = tagsIn;
    if (tagsIn < this.#tags) return;
    this.#complete += 1;
    this.#collected += 1;
  }

  /** Makes a bucket the newest one, and returns it. */
  #moveTo(bucket: number): number {
    const newest = this.#newest ?? bucket;
    this.#newest = bucket;
    const steps = Math.min(Math.abs(bucket - newest), this.#kept);
    // Forward, the oldest buckets make room. Backward, the buckets after the present one never were.
    for (let step = 0; step < steps; step += 1)
      this.#clear((bucket > newest ? bucket - step : newest - step) % this.#kept);
    if (bucket < newest) for (const [tag, last] of this.#last.entries()) this.#last[tag] = Math.min(last, bucket - 1);
    return bucket;
  }

  #clear(slot: number): void {
    const tagsIn = this.#tagsIn[slot] ?? 0;
    if (tagsIn === 0) return;
    if (tagsIn === this.#tags) this.#complete -= 1;
    this.#tagsIn[slot] = 0;
    for (let tag = 0; tag < this.#tags; tag += 1) {
      const cell = slot * this.#tags + tag;
      this.#counts[tag] = (this.#counts[tag] ?? 0) - (this.#has[cell] ?? 0);
      this.#has[cell] = 0;
    }
  }

  #bucket(timeMs: EpochMs): number {
    return Math.floor(timeMs / this.bucketMs);
  }
}
