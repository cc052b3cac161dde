import { GOOD, type QualityCode } from '../../domain/sample/quality.ts';
import type { Columns } from './series-codec.ts';

const CAPACITY_FIRST = 64;

/** Samples of one tag, in columns that grow by doubling and are reused. */
export class SeriesBuffer {
  #timesMs = new Float64Array(CAPACITY_FIRST);
  #values = new Float64Array(CAPACITY_FIRST);
  #qualities = new Uint8Array(CAPACITY_FIRST);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(timeMs: number, value: number, quality: QualityCode = GOOD): void {
    if (this.#length === this.#timesMs.length) this.#grow(this.#length + 1);
    this.#timesMs[this.#length] = timeMs;
    this.#values[this.#length] = value;
    this.#qualities[this.#length] = quality;
    this.#length += 1;
  }

  /** Appends good samples. */
  append({ timesMs, values }: Columns): void {
    if (this.#length + timesMs.length > this.#timesMs.length) this.#grow(this.#length + timesMs.length);
    this.#timesMs.set(timesMs, this.#length);
    this.#values.set(values, this.#length);
    this.#qualities.fill(GOOD, this.#length, this.#length + timesMs.length);
    this.#length += timesMs.length;
  }

  /** Views of the samples, valid until the next change. */
  get columns(): Columns & { readonly qualities: Uint8Array } {
    return {
      timesMs: this.#timesMs.subarray(0, this.#length),
      values: this.#values.subarray(0, this.#length),
      qualities: this.#qualities.subarray(0, this.#length),
    };
  }

  clear(): void {
    this.#length = 0;
  }

  #grow(length: number): void {
    const capacity = Math.max(length, this.#timesMs.length * 2);
    const { timesMs, values, qualities } = this.columns;
    this.#timesMs = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
    this.#qualities = new Uint8Array(capacity);
    this.#timesMs.set(timesMs);
    this.#values.set(values);
    this.#qualities.set(qualities);
  }
}

export function isSorted(times: Float64Array): boolean {
  for (let index = 1; index < times.length; index += 1) if ((times[index] ?? 0) < (times[index - 1] ?? 0)) return false;
  return true;
}

/** Sorts by time. Samples with the same time keep their order. Sorted columns, the usual case, are returned as they are. */
export function sorted(columns: Columns): Columns {
  const { timesMs, values } = columns;
  if (isSorted(timesMs)) return columns;
  const order = Uint32Array.from(timesMs, (_, index) => index).toSorted(
    (a, b) => (timesMs[a] ?? 0) - (timesMs[b] ?? 0) || a - b,
  );
  return {
    timesMs: Float64Array.from(order, (index) => timesMs[index] ?? 0),
    values: Float64Array.from(order, (index) => values[index] ?? Number.NaN),
  };
}
