import type { EpochMs } from '../../domain/epoch-ms.ts';
import { BAD, type QualityCode, reasonOf } from '../../domain/sample/quality.ts';
import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';

/**
 * The last value of each tag. A server sends changes only: while its subscription lives, a value without a change is still
 * valid, and is delivered again with a new time.
 */
export class HeldValues {
  readonly #tags: readonly TagNumber[];
  readonly #values: Float64Array;
  readonly #timesMs: Float64Array;
  readonly #qualities: Uint8Array;
  readonly #reasons: Uint8Array;
  readonly #batch: SampleBatch;

  constructor(tags: readonly TagNumber[]) {
    this.#tags = tags;
    this.#values = new Float64Array(tags.length);
    this.#timesMs = new Float64Array(tags.length);
    this.#qualities = new Uint8Array(tags.length).fill(BAD);
    this.#reasons = new Uint8Array(tags.length);
    this.#batch = new SampleBatch(tags.length);
  }

  /** @param index Position of the tag in the constructor's list. @param reason Code of the quality reason. */
  set(index: number, value: number, timeMs: EpochMs, quality: QualityCode, reason: number): void {
    this.#values[index] = value;
    this.#timesMs[index] = timeMs;
    this.#qualities[index] = quality;
    this.#reasons[index] = reason;
  }

  /** Forgets all values, after the loss of the server. */
  clear(): void {
    this.#qualities.fill(BAD);
  }

  /**
   * Returns the values that are older than a time, as of that time; undefined if there are none. The batch is used again by
   * the next call.
   *
   * @param indexes Tags to look at.
   */
  asOf(timeMs: EpochMs, indexes: readonly number[]): SampleBatch | undefined {
    this.#batch.clear();
    for (const index of indexes) {
      const quality = (this.#qualities[index] ?? BAD) as QualityCode;
      if (quality === BAD || (this.#timesMs[index] ?? Infinity) >= timeMs) continue;
      this.#timesMs[index] = timeMs;
      const reason = reasonOf(this.#reasons[index] ?? 0);
      this.#batch.add(this.#tags[index] ?? -1, this.#values[index] ?? Number.NaN, timeMs, quality, reason);
    }
    return this.#batch.length === 0 ? undefined : this.#batch;
  }
}
