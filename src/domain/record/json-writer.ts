import { shortestFloat32 } from '../alarm/verdict-rule.ts';

/** Powers of ten that are exact as float64. */
const POWERS = Float64Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
/** Half of the distance between a float32 and the next, by the bits of its exponent. */
const HALF_STEPS = Float64Array.from({ length: 256 }, (_, exponent) => 2 ** (exponent - 151));
/** By the bits of the exponent of a float32: decimals with which most of these numbers have six digits, and the size from which one less. */
const DECIMALS = new Int8Array(256);
const FEWER_FROM = new Float64Array(256);
/** Numbers outside this range are rare, and are written by V8. Inside it, nine digits are an int32 without an exponent. */
const [SIZE_MIN, SIZE_MAX] = [1e-5, 1e6];
/** Most bytes of a number, and of those that are written behind it. */
const NUMBER_BYTES_MAX = 32;
/** Up to this length, a loop is faster than a call of the encoder. */
const SHORT_TEXT = 200;
const WORD_BYTES = 4;
const encoder = new TextEncoder();
const [MINUS, POINT, ZERO] = [45, 46, 48];
/** '000' to '999', and '0' to '999'; each as one word. */
const GROUPS = wordsOf(Array.from({ length: 1000 }, (_, group) => String(group).padStart(3, '0')));
const NUMBERS = wordsOf(Array.from({ length: 1000 }, (_, number) => String(number)));

/** Short texts that are written before values, as words: four bytes are written as fast as one. */
export class JsonKeys {
  readonly count: number;
  /** Most bytes of the keys and as many numbers. */
  readonly bytesMax: number;
  readonly words: Int32Array;
  /** Position in `words` behind each key. */
  readonly ends: Uint32Array;
  /** Bytes of each key. */
  readonly lengths: Uint32Array;

  constructor(keys: readonly string[]) {
    const texts = keys.map((key) => encoder.encode(key));
    this.count = texts.length;
    this.lengths = Uint32Array.from(texts, ({ length }) => length);
    let end = 0;
    this.ends = Uint32Array.from(texts, ({ length }) => (end += Math.ceil(length / WORD_BYTES)));
    this.words = wordsOf(keys);
    this.bytesMax = WORD_BYTES * end + this.count * NUMBER_BYTES_MAX;
  }
}

/**
 * Writes JSON as UTF-8 into one buffer that grows. A float32 costs about 15 ns; V8 needs 0.8 µs to write the shortest
 * decimal of a float64, which would be most of the cost of a record.
 */
export class JsonWriter {
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  /** @param capacity Bytes of the first buffer. */
  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = viewOf(this.#buffer);
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

  /** Begins again, in this buffer. A larger one replaces it if it is too small. */
  writeInto(buffer: Uint8Array<ArrayBuffer>): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
    this.#length = 0;
  }

  /** Returns what was written, without a copy. `writeInto` must follow. */
  handOver(): Uint8Array<ArrayBuffer> {
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

  /** @param value An integer from 0 to 2^53 - 1. */
  integer(value: number): void {
    this.#reserve(NUMBER_BYTES_MAX);
    this.#length = putInteger(this.#view, this.#length, value);
  }

  /** Writes a finite number as `JSON.stringify` does. One of up to nine digits, such as a score, costs less than V8 needs. */
  number(value: number): void {
    this.#reserve(NUMBER_BYTES_MAX);
    const end = putShort(this.#view, this.#length, value);
    if (end === undefined) this.text(String(value));
    else this.#length = end;
  }

  /**
   * Writes float32 values, each after its key, as the shortest decimals that are the same float32. NaN is null.
   *
   * @param offset Of the first value in `values`; little-endian.
   */
  float32s({ count, bytesMax, words, ends, lengths }: JsonKeys, values: DataView, offset: number): void {
    this.#reserve(bytesMax);
    const view = this.#view;
    let at = this.#length;
    let word = 0;
    for (let index = 0; index < count; index += 1) {
      const end = ends[index] as number;
      for (let target = at; word < end; word += 1, target += WORD_BYTES)
        view.setInt32(target, words[word] as number, true);
      const position = offset + 4 * index;
      const value = values.getFloat32(position, true);
      at = putFloat32(view, at + (lengths[index] as number), value, values.getInt32(position, true));
    }
    this.#length = at;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const bytes = Math.max(needed, 2 * this.#buffer.length);
    const grown = new Uint8Array(bytes);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    this.#view = viewOf(grown);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Returns texts as little-endian words, each in as many as it needs. */
function wordsOf(texts: readonly string[]): Int32Array {
  return Int32Array.from(
    texts.flatMap((text) => {
      const bytes = encoder.encode(text);
      const padded = new Uint8Array(Math.ceil(bytes.length / WORD_BYTES) * WORD_BYTES);
      padded.set(bytes);
      const view = viewOf(padded);
      return Array.from({ length: padded.length / WORD_BYTES }, (_, word) => view.getInt32(WORD_BYTES * word, true));
    }),
  );
}

/** @returns The position after the number. */
function putFloat32(view: DataView, at: number, value: number, bits: number): number {
  const size = Math.abs(value);
  if (!(size >= SIZE_MIN && size < SIZE_MAX)) return putRare(view, at, value);
  const exponent = (bits >>> 23) & 0xff;
  let decimals = DECIMALS[exponent] as number;
  if (size >= (FEWER_FROM[exponent] as number)) decimals -= 1;
  const above = HALF_STEPS[exponent] as number;
  const below = (bits & 0x7f_ffff) === 0 ? above / 2 : above;
  const start = value < 0 ? putMinus(view, at) : at;
  // Six digits are not always enough; nine are. No decimal of up to nine digits is in the middle between two float32.
  for (let digits = 6; ; digits += 1, decimals += 1) {
    const power = POWERS[decimals] as number;
    const exact = size * power;
    const scaled = (exact + 0.5) | 0;
    const error = scaled - exact;
    if (digits < 9 && (error >= above * power || -error >= below * power)) continue;
    const end = putDecimal(view, start, size, scaled, decimals);
    return digits === 6 ? trimmed(view, end, decimals) : end;
  }
}

/** @returns The position after the number; undefined if it has more than nine digits. */
function putShort(view: DataView, at: number, value: number): number | undefined {
  const size = Math.abs(value);
  if (!(size >= SIZE_MIN && size < SIZE_MAX)) return undefined;
  const decimals = decimalsOfSix(size) + 3;
  const power = POWERS[decimals] as number;
  const scaled = (size * power + 0.5) | 0;
  // Both are exact, so the quotient is the float64 that is nearest to the decimal.
  if (scaled / power !== size) return undefined;
  return trimmed(view, putDecimal(view, value < 0 ? putMinus(view, at) : at, size, scaled, decimals), decimals);
}

/** Returns the decimals with which a number has six digits. */
function decimalsOfSix(size: number): number {
  let decimals = 5;
  for (let limit = 10; size >= limit; limit *= 10) decimals -= 1;
  for (let limit = 1; size < limit; limit /= 10) decimals += 1;
  return decimals;
}

for (let exponent = 0; exponent < DECIMALS.length; exponent += 1) {
  const least = Math.min(Math.max(2 ** (exponent - 127), SIZE_MIN), SIZE_MAX);
  DECIMALS[exponent] = decimalsOfSix(least);
  FEWER_FROM[exponent] = 10 ** (6 - decimalsOfSix(least));
}

function putMinus(view: DataView, at: number): number {
  view.setUint8(at, MINUS);
  return at + 1;
}

/** @returns The position after the last digit that is not a zero behind the point. */
function trimmed(view: DataView, from: number, decimals: number): number {
  if (decimals === 0) return from;
  let end = from;
  while (view.getUint8(end - 1) === ZERO) end -= 1;
  return view.getUint8(end - 1) === POINT ? end - 1 : end;
}

/** Writes zero, null, and very large and very small numbers. */
function putRare(view: DataView, at: number, value: number): number {
  const text = Number.isNaN(value) ? 'null' : String(shortestFloat32(value));
  for (let index = 0; index < text.length; index += 1) view.setUint8(at + index, text.charCodeAt(index));
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

/**
 * @param scaled `size` times 10^decimals, rounded; at most 10^9.
 * @returns The position after the number. Bytes behind it are overwritten too.
 */
function putDecimal(view: DataView, at: number, size: number, scaled: number, decimals: number): number {
  const power = POWERS[decimals] as number;
  let whole = size | 0;
  let fraction = scaled - whole * power;
  // 9.9999999 is rounded to 10.
  if (fraction >= power) {
    fraction -= power;
    whole += 1;
  }
  let from = putInteger(view, at, whole);
  if (decimals === 0) return from;
  view.setUint8(from, POINT);
  from += 1;
  let places = decimals;
  for (; places > 9; places -= 9, from += 9) {
    const unit = POWERS[places - 9] as number;
    const first = (fraction / unit) | 0;
    putNine(view, from, first);
    fraction -= first * unit;
  }
  if (places <= 6) putSix(view, from, (fraction * (POWERS[6 - places] as number)) | 0);
  else putNine(view, from, (fraction * (POWERS[9 - places] as number)) | 0);
  return from + places;
}

/** Writes six digits. */
function putSix(view: DataView, at: number, value: number): void {
  const thousands = (value / 1000) | 0;
  view.setInt32(at, GROUPS[thousands] as number, true);
  view.setInt32(at + 3, GROUPS[value - 1000 * thousands] as number, true);
}

/** Writes nine digits. */
function putNine(view: DataView, at: number, value: number): void {
  const thousands = (value / 1000) | 0;
  const millions = (thousands / 1000) | 0;
  view.setInt32(at, GROUPS[millions] as number, true);
  view.setInt32(at + 3, GROUPS[thousands - 1000 * millions] as number, true);
  view.setInt32(at + 6, GROUPS[value - 1000 * thousands] as number, true);
}

/** @returns The position after the number. */
function putInteger(view: DataView, at: number, value: number): number {
  if (value < 1000) return putSmall(view, at, value | 0);
  const thousands = Math.floor(value / 1000);
  const group = putInteger(view, at, thousands);
  view.setInt32(group, GROUPS[value - 1000 * thousands] as number, true);
  return group + 3;
}

function putSmall(view: DataView, at: number, value: number): number {
  view.setInt32(at, NUMBERS[value] as number, true);
  return at + (value < 10 ? 1 : value < 100 ? 2 : 3);
}
