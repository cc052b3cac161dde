import type { EpochMs } from '../epoch-ms.ts';
import { type QualityCode, type QualityReason, reasonCode } from './quality.ts';
import type { TagNumber } from './tag.ts';

/**
 * Samples of one scan or one message, as columns, so that a sample needs no object.
 *
 * The source that fills it owns it. A receiver may read it only during the call that passes it.
 * Values are in engineering units. Booleans are 0 and 1.
 */
export class SampleBatch {
  readonly tags: Int32Array;
  readonly values: Float64Array;
  readonly timesMs: Float64Array;
  readonly qualities: Uint8Array;
  readonly reasons: Uint8Array;
  /** Last text of each text tag, by tag. Their value is a code of the text. Undefined if there are no text tags. */
  texts: Map<TagNumber, string> | undefined;
  length = 0;

  /** @param capacity Most samples: the number of tags of a scan or message. */
  constructor(capacity: number) {
    this.tags = new Int32Array(capacity);
    this.values = new Float64Array(capacity);
    this.timesMs = new Float64Array(capacity);
    this.qualities = new Uint8Array(capacity);
    this.reasons = new Uint8Array(capacity);
  }

  /** Removes the samples. Texts stay until they change. */
  clear(): void {
    this.length = 0;
  }

  setText(tag: TagNumber, text: string): void {
    this.texts ??= new Map();
    this.texts.set(tag, text);
  }

  /** @throws {RangeError} The batch is full: its capacity is too small. */
  add(tag: TagNumber, value: number, timeMs: EpochMs, quality: QualityCode, reason: QualityReason): void {
    const index = this.length;
    if (index >= this.tags.length) throw new RangeError(`A sample batch for ${this.tags.length} samples is full`);
    this.tags[index] = tag;
    this.values[index] = value;
    this.timesMs[index] = timeMs;
    this.qualities[index] = quality;
    this.reasons[index] = quality === 0 ? 0 : reasonCode(reason);
    this.length = index + 1;
  }
}
