import type { EpochMs } from '../epoch-ms.ts';
import { continuedColumn } from './columns.ts';
import { BAD, GOOD, reasonCode, UNCERTAIN } from './quality.ts';
import type { SampleBatch } from './sample-batch.ts';
import type { Tag, TagNumber } from './tag.ts';

/** Models compute in float32. A larger number would become infinite. */
const FLOAT32_MAX = 3.4028234663852886e38;
/** Longest that the clock of a device may be ahead of the agent's. Windows have room for it. */
export const AHEAD_MS_MAX = 1000;

const OUT_OF_RANGE = reasonCode('out-of-range');
const NOT_FINITE = reasonCode('not-finite');
const STUCK = reasonCode('stuck');
const NOT_READ_YET = reasonCode('not-read-yet');
const TIME_INVALID = reasonCode('time-invalid');
const TIME_IN_FUTURE = reasonCode('time-in-future');

/**
 * Returns the time of a sample whose sender may have a clock that is ahead. A time more than `AHEAD_MS_MAX` ahead is replaced
 * by the time of arrival, because nothing is measured after it arrives.
 *
 * @param toleranceMs Longest accepted lead of the sender's clock.
 * @returns undefined if the lead is longer.
 */
export function takenAt(sentMs: EpochMs, arrivedMs: EpochMs, toleranceMs: number): EpochMs | undefined {
  const aheadMs = sentMs - arrivedMs;
  if (aheadMs > toleranceMs) return undefined;
  return aheadMs > AHEAD_MS_MAX ? arrivedMs : sentMs;
}

/**
 * Sets the quality of each sample, and decides which samples are reported.
 *
 * | condition | quality | reason | time |
 * | --- | --- | --- | --- |
 * | not finite, or too large for float32 | bad | not-finite | unchanged |
 * | time is not a number, or before 1970 | bad | time-invalid | now |
 * | time more than 1 s ahead | uncertain | time-in-future | now |
 * | outside the tag's range | uncertain | out-of-range | unchanged |
 * | within the band for the time of the stuck rule | uncertain | stuck | unchanged |
 *
 * The gate never improves the quality that the source set.
 *
 * Report by exception: if a value differs from the last reported one by less than the deadband, it is replaced by that
 * value, with the new time. The first value after a change of quality is always reported. A bad sample has no value to
 * compare.
 */
export class QualityGate {
  #low = new Float64Array(0);
  #high = new Float64Array(0);
  #deadband = new Float64Array(0);
  /** Last reported value; NaN before the first and after a bad one. */
  #reported = new Float64Array(0);
  #stuckAfterMs = new Float64Array(0);
  #stuckBand = new Float64Array(0);
  /** Value and time of the last change by more than the band; NaN after a bad value. */
  #anchor = new Float64Array(0);
  #anchoredMs = new Float64Array(0);
  #qualities = new Uint8Array(0);
  #reasons = new Uint8Array(0);

  /** @param tags Tags in the order of their numbers. */
  constructor(tags: readonly Tag[]) {
    this.change(tags, new Set());
  }

  /**
   * Applies other rules, to more tags than before.
   *
   * @param renewed Tags whose earlier samples do not count.
   */
  change(tags: readonly Tag[], renewed: ReadonlySet<TagNumber>): void {
    this.#low = Float64Array.from(tags, (tag) => tag.range?.[0] ?? -Infinity);
    this.#high = Float64Array.from(tags, (tag) => tag.range?.[1] ?? Infinity);
    this.#deadband = Float64Array.from(tags, (tag) => tag.deadband);
    this.#stuckAfterMs = Float64Array.from(tags, (tag) => tag.stuck?.afterMs ?? Infinity);
    this.#stuckBand = Float64Array.from(tags, (tag) => tag.stuck?.band ?? 0);
    this.#anchor = continuedColumn(this.#anchor, tags.length, Number.NaN, renewed);
    this.#anchoredMs = continuedColumn(this.#anchoredMs, tags.length, 0, renewed);
    this.#reported = continuedColumn(this.#reported, tags.length, Number.NaN, renewed);
    this.#qualities = continuedColumn(this.#qualities, tags.length, BAD, renewed);
    this.#reasons = continuedColumn(this.#reasons, tags.length, NOT_READ_YET, renewed);
  }

  /**
   * @param from Samples from the source. Not changed.
   * @param to Receives the samples, in order. Its capacity must be at least that of `from`.
   * @param reported One flag for each sample of `to`: 1 if value or quality differ from the last reported ones.
   * @returns Number of samples without a tag in the table. They are left out.
   */
  pass(from: SampleBatch, nowMs: EpochMs, to: SampleBatch, reported: Uint8Array): number {
    const latestMs = nowMs + AHEAD_MS_MAX;
    let length = 0;
    for (let index = 0; index < from.length; index += 1) {
      const tag = from.tags[index] ?? -1;
      if (tag < 0 || tag >= this.#low.length) continue;
      let value = from.values[index] ?? Number.NaN;
      let timeMs = from.timesMs[index] ?? Number.NaN;
      let quality = from.qualities[index] ?? BAD;
      let reason = from.reasons[index] ?? 0;
      if (!(timeMs >= 0 && timeMs <= latestMs)) {
        const ahead = timeMs > latestMs;
        if (quality < (ahead ? UNCERTAIN : BAD)) {
          quality = ahead ? UNCERTAIN : BAD;
          reason = ahead ? TIME_IN_FUTURE : TIME_INVALID;
        }
        timeMs = nowMs;
      }
      if (quality !== BAD && !(value >= -FLOAT32_MAX && value <= FLOAT32_MAX)) {
        quality = BAD;
        reason = NOT_FINITE;
      } else if (quality === GOOD && (value < (this.#low[tag] ?? 0) || value > (this.#high[tag] ?? 0))) {
        quality = UNCERTAIN;
        reason = OUT_OF_RANGE;
      }
      if (this.#isStuck(tag, value, timeMs, quality) && quality === GOOD) {
        quality = UNCERTAIN;
        reason = STUCK;
      }
      const sameQuality = this.#qualities[tag] === quality && this.#reasons[tag] === reason;
      const last = this.#reported[tag] ?? Number.NaN;
      if (sameQuality && Math.abs(value - last) < (this.#deadband[tag] ?? 0)) value = last;
      this.#qualities[tag] = quality;
      this.#reasons[tag] = reason;
      this.#reported[tag] = quality === BAD ? Number.NaN : value;
      to.tags[length] = tag;
      to.values[length] = value;
      to.timesMs[length] = timeMs;
      to.qualities[length] = quality;
      to.reasons[length] = reason;
      reported[length] = !sameQuality || (quality !== BAD && value !== last) ? 1 : 0;
      length += 1;
    }
    to.length = length;
    return from.length - length;
  }

  #isStuck(tag: TagNumber, value: number, timeMs: EpochMs, quality: number): boolean {
    const afterMs = this.#stuckAfterMs[tag] ?? Infinity;
    if (afterMs === Infinity) return false;
    const moved = !(Math.abs(value - (this.#anchor[tag] ?? Number.NaN)) <= (this.#stuckBand[tag] ?? 0));
    if (moved || quality === BAD) {
      this.#anchor[tag] = quality === BAD ? Number.NaN : value;
      this.#anchoredMs[tag] = timeMs;
      return false;
    }
    return timeMs - (this.#anchoredMs[tag] ?? timeMs) >= afterMs;
  }
}
