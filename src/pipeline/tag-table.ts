import type { TagReading } from '../contracts/live-events.ts';
import { continuedColumn } from '../domain/sample/columns.ts';
import { BAD, type Quality, qualityOf, reasonCode, reasonOf } from '../domain/sample/quality.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';

/** The last sample of every tag, as columns by tag number, and the tags that changed since the last `takeChanged`. */
export class TagTable {
  readonly #tags: readonly Tag[];
  #values = new Float64Array(0);
  #timesMs = new Float64Array(0);
  #qualities = new Uint8Array(0);
  #reasons = new Uint8Array(0);
  /** 1 for a tag in `#changed`, a ring of tag numbers. Each tag is in it at most once, so it never overflows. */
  #isChanged = new Uint8Array(0);
  #changed = new Int32Array(0);
  /** Values of text tags; at most one for each tag. */
  readonly #texts = new Map<TagNumber, string>();
  #changedFirst = 0;
  #changedCount = 0;

  /** @param tags In order of their numbers. Read at every access, because patterns add names later. */
  constructor(tags: readonly Tag[]) {
    this.#tags = tags;
    this.change(new Set());
  }

  /**
   * Makes room for tags that were added to the array.
   *
   * @param renewed Tags whose last sample no longer counts.
   */
  change(renewed: ReadonlySet<TagNumber>): void {
    const { length } = this.#tags;
    this.#values = continuedColumn(this.#values, length, Number.NaN, renewed);
    this.#timesMs = continuedColumn(this.#timesMs, length, 0, renewed);
    this.#qualities = continuedColumn(this.#qualities, length, BAD, renewed);
    this.#reasons = continuedColumn(this.#reasons, length, reasonCode('not-read-yet'), renewed);
    for (const tag of renewed) this.#texts.delete(tag);
    const waiting = Array.from(
      { length: this.#changedCount },
      (_, index) => this.#changed[(this.#changedFirst + index) % this.#changed.length] ?? 0,
    );
    this.#isChanged = new Uint8Array(length);
    this.#changed = new Int32Array(length);
    this.#changedFirst = 0;
    this.#changedCount = 0;
    for (const tag of waiting) this.#markChanged(tag);
  }

  get changed(): number {
    return this.#changedCount;
  }

  /**
   * @param gated Samples of the quality gate.
   * @param reported The gate's flags: 1 for a sample that changed the reported value or quality of its tag.
   */
  update(gated: SampleBatch, reported: Uint8Array): void {
    for (let index = 0; index < gated.length; index += 1) {
      const tag = gated.tags[index] ?? 0;
      this.#values[tag] = gated.values[index] ?? Number.NaN;
      this.#timesMs[tag] = gated.timesMs[index] ?? 0;
      this.#qualities[tag] = gated.qualities[index] ?? BAD;
      this.#reasons[tag] = gated.reasons[index] ?? 0;
      if (reported[index] === 1 && this.#isChanged[tag] === 0) this.#markChanged(tag);
    }
  }

  /** Stores the values of text tags. */
  takeTexts(texts: ReadonlyMap<TagNumber, string>): void {
    for (const [tag, text] of texts) this.#texts.set(tag, text);
  }

  /** Returns at most `limit` changed tags, the longest waiting first. The others remain for the next call. */
  takeChanged(limit: number): readonly TagReading[] {
    const readings: TagReading[] = [];
    while (this.#changedCount > 0 && readings.length < limit) {
      const tag = this.#changed[this.#changedFirst] ?? 0;
      this.#changedFirst = this.#changedFirst + 1 === this.#changed.length ? 0 : this.#changedFirst + 1;
      this.#changedCount -= 1;
      this.#isChanged[tag] = 0;
      readings.push(this.reading(tag));
    }
    return readings;
  }

  quality(number: TagNumber): Quality {
    return qualityOf(this.#qualities[number] ?? BAD);
  }

  readings(numbers: readonly TagNumber[]): readonly TagReading[] {
    return numbers.map((number) => this.reading(number));
  }

  reading(number: TagNumber): TagReading {
    const tag = this.#tags[number];
    const value = this.#values[number] ?? Number.NaN;
    const text = Number.isFinite(value) ? (tag?.names?.[String(value)] ?? this.#texts.get(number)) : undefined;
    return {
      tag: tag?.name ?? '',
      value: Number.isFinite(value) ? value : undefined,
      ...(text === undefined ? {} : { text }),
      unit: tag?.unit ?? '',
      timestampMs: this.#timesMs[number] ?? 0,
      quality: this.quality(number),
      reason: reasonOf(this.#reasons[number] ?? 0),
    };
  }

  #markChanged(tag: TagNumber): void {
    this.#isChanged[tag] = 1;
    const end = this.#changedFirst + this.#changedCount;
    this.#changed[end < this.#changed.length ? end : end - this.#changed.length] = tag;
    this.#changedCount += 1;
  }
}
