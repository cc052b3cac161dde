import type { EpochMs } from '../epoch-ms.ts';
import type { QualityCode, QualityReason } from './quality.ts';
import { reasonCode } from './quality.ts';
import type { TagNumber } from './tag.ts';

/**
 * Samples of one scan or one message, as columns, so that a sample costs no object.
 *
 * Owner: whoever fills it. A receiver reads it during the call that hands it over and keeps nothing of it.
 * Values are in engineering units; booleans are 0 and 1.
 */
export class SampleBatch {
  readonly tags: Int32Array;
  readonly values: Float64Array;
  readonly timesMs: Float64Array;
  readonly qualities: Uint8Array;
  readonly reasons: Uint8Array;
  /** What tags that are text last said, by tag; their value is a code of the text. Undefined where there are none. */
  texts: Map<TagNumber, string> | undefined;
  length = 0;

  /** @param capacity Most samples it can hold; the filler knows how many tags a scan or message has. */
  constructor(capacity: number) {
    this.tags = new Int32Array(capacity);
    this.values = new Float64Array(capacity);
    this.timesMs = new Float64Array(capacity);
    this.qualities = new Uint8Array(capacity);
    this.reasons = new Uint8Array(capacity);
  }

  /** Takes the samples out; texts stay until they change. */
  clear(): void {
    this.length = 0;
  }

  setText(tag: TagNumber, text: string): void {
    this.texts ??= new Map();
    this.texts.set(tag, text);
  }

  /** @throws {RangeError} when the batch is full: the filler sized it wrongly. */
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
