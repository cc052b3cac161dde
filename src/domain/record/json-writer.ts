import { shortestFloat32 } from '../alarm/verdict-rule.ts';

/** Powers of ten that are exact as float64. */
const POWERS = Float64Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
/** Numbers outside this range are rare, and are written by V8. Inside it, nine digits are an int32 without an exponent. */
const [SIZE_MIN, SIZE_MAX] = [1e-5, 1e6];
/** Most bytes of a number. */
const NUMBER_BYTES_MAX = 32;
/** Up to this length, a loop is faster than a call of the encoder. */
const SHORT_TEXT = 200;
const encoder = new TextEncoder();
const [MINUS, POINT, ZERO] = [45, 46, 48];

/**
 * Writes JSON as UTF-8 into one buffer that grows. A float32 costs about 0.1 µs; V8 needs 0.8 µs to write the shortest
 * decimal of a float64, which would be most of the cost of a record.
 */
export class JsonWriter {
  #buffer: Uint8Array;
  #length = 0;

  /** @param capacity Bytes of the first buffer. */
  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Drops what was written after `length`. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Returns what was written, in a buffer of its own, and begins again. */
  take(): Uint8Array {
    const taken = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Begins again, in this buffer. A larger one of the same kind replaces it if it is too small. */
  writeInto(buffer: Uint8Array): void {
    this.#buffer = buffer;
    this.#length = 0;
  }

  /** Returns what was written, without a copy. `writeInto` must follow. */
  handOver(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Returns a copy of what was written from `start` on. */
  from(start: number): Uint8Array {
    return this.#buffer.slice(start, this.#length);
  }

  text(text: string): void {
    // A UTF-16 unit has at most three bytes in UTF-8.
    this.#reserve(3 * text.length);
    if (text.length <= SHORT_TEXT && putAscii(this.#buffer, this.#length, text)) this.#length += text.length;
    else this.#length += encoder.encodeInto(text, this.#buffer.subarray(this.#length)).written;
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /**
   * Writes float32 values, each after its key, as the shortest decimals that are the same float32. NaN is null.
   *
   * @param keys Short texts: a loop copies them faster than `set`.
   * @param offset Of the first value in `values`; little-endian.
   */
  float32s(keys: readonly Uint8Array[], values: DataView, offset: number): void {
    let needed = 0;
    for (const key of keys) needed += key.length + NUMBER_BYTES_MAX;
    this.#reserve(needed);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] as Uint8Array;
      for (let byte = 0; byte < key.length; byte += 1) buffer[at + byte] = key[byte] as number;
      at = putFloat32(buffer, at + key.length, values.getFloat32(offset + 4 * index, true));
    }
    this.#length = at;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const bytes = Math.max(needed, 2 * this.#buffer.length);
    const isShared = this.#buffer.buffer instanceof SharedArrayBuffer;
    const grown = isShared ? new Uint8Array(new SharedArrayBuffer(bytes)) : new Uint8Array(bytes);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** @returns The position after the number. */
function putFloat32(buffer: Uint8Array, at: number, value: number): number {
  const size = Math.abs(value);
  if (!(size >= SIZE_MIN && size < SIZE_MAX)) return putRare(buffer, at, value);
  let decimals = 5;
  for (let limit = 10; size >= limit; limit *= 10) decimals -= 1;
  for (let limit = 1; size < limit; limit /= 10) decimals += 1;
  // Six digits are not always enough; nine are.
  for (let digits = 6; digits < 9; digits += 1, decimals += 1) {
    const power = POWERS[decimals] as number;
    const scaled = Math.round(size * power);
    if (Math.fround(scaled / power) === size) return putDecimal(buffer, at, scaled, decimals, value < 0);
  }
  return putDecimal(buffer, at, Math.round(size * (POWERS[decimals] as number)), decimals, value < 0);
}

/** Writes zero, null, and very large and very small numbers. */
function putRare(buffer: Uint8Array, at: number, value: number): number {
  const text = Number.isNaN(value) ? 'null' : String(shortestFloat32(value));
  putAscii(buffer, at, text);
  return at + text.length;
}

/** @returns False if the text has other characters than those of ASCII. */
function putAscii(buffer: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit > 127) return false;
    buffer[at + index] = unit;
  }
  return true;
}

/** @param scaled The number times 10^decimals, below 10^9. @returns The position after the number. */
function putDecimal(buffer: Uint8Array, from: number, scaled: number, decimals: number, isNegative: boolean): number {
  let left = scaled | 0;
  let places = decimals;
  while (places > 0 && left % 10 === 0) {
    left = (left / 10) | 0;
    places -= 1;
  }
  let digits = places + 1;
  while (left >= (POWERS[digits] as number)) digits += 1;
  let at = from;
  if (isNegative) buffer[at++] = MINUS;
  const end = at + digits + (places > 0 ? 1 : 0);
  at = end;
  for (let digit = 0; digit < digits; digit += 1) {
    if (digit === places && places > 0) buffer[--at] = POINT;
    const rest = (left / 10) | 0;
    buffer[--at] = ZERO + left - 10 * rest;
    left = rest;
  }
  return end;
}
