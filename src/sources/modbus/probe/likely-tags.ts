import { codeText, notAvailableCodes } from '../frame/not-available.ts';
import { type ByteOrder, registerDecoder, registersOf, type ValueType } from '../frame/register-decode.ts';

/** A tag for one or more registers, with the likely type. */
export type LikelyTag = {
  readonly address: number;
  readonly type: ValueType | 'string';
  readonly byteOrder: ByteOrder;
  /** Bytes of a string. */
  readonly length: number | undefined;
  /** Value or text of the last read, and a remark. */
  readonly remark: string;
};

/** A text has at least this many registers; a shorter one may be a number. */
const TEXT_REGISTERS_MIN = 4;
/** Floats of a block have magnitudes of measurements. Small integers, read as a float, are far below. */
const FLOAT_MIN = 1e-3;
const FLOAT_MAX = 1e7;
const floatOrders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
const SIGN_BIT = 0x8000;

/**
 * Returns a tag for each register of a block, each register once: texts, floats in one byte order for the block, and
 * 16-bit integers for the rest.
 *
 * @param reads Register values of one or more reads of the block, 0–65535.
 */
export function likelyTags(reads: readonly (readonly number[])[], firstAddress: number): readonly LikelyTag[] {
  const last = reads.at(-1) ?? [];
  const byteOrder = floatOrder(reads);
  const tags: LikelyTag[] = [];
  let isAfterFloat = false;
  for (let index = 0; index < last.length;) {
    const address = firstAddress + index;
    const text = textAt(last, index);
    if (text !== undefined) {
      const length = text.length;
      tags.push({
        address,
        type: 'string',
        byteOrder: 'ABCD',
        length,
        remark: `'${text.replaceAll('\0', '').trim()}'`,
      });
      index += length / 2;
      isAfterFloat = false;
      continue;
    }
    isAfterFloat = byteOrder !== undefined && isFloat(reads, index, byteOrder, isAfterFloat);
    const type = isAfterFloat
      ? 'float32'
      : (last[index] ?? 0) >= SIGN_BIT && last[index] !== 0xffff
        ? 'int16'
        : 'uint16';
    const order = isAfterFloat && byteOrder !== undefined ? byteOrder : 'ABCD';
    tags.push({ address, type, byteOrder: order, length: undefined, remark: remarkOn(last, index, type, order) });
    index += registersOf(type);
  }
  return tags;
}

/** Returns the byte order with the most evidence of floats in the block, undefined if there is none. */
function floatOrder(reads: readonly (readonly number[])[]): ByteOrder | undefined {
  const [words = []] = reads;
  const scores = floatOrders.map((order) => {
    let score = 0;
    for (let index = 0; index < words.length;) {
      const text = textAt(words, index);
      const found = text === undefined && isFloat(reads, index, order, false);
      // A single register before a zero looks like a float as well.
      if (found) score += words[index] !== 0 && words[index + 1] !== 0 ? 2 : 1;
      index += text === undefined ? (found ? 2 : 1) : text.length / 2;
    }
    return { order, score };
  });
  const [best] = scores.toSorted((a, b) => b.score - a.score);
  return best === undefined || best.score === 0 ? undefined : best.order;
}

/** Returns true if the registers are a float in every read. A zero or NaN is one only in a row of floats. */
function isFloat(reads: readonly (readonly number[])[], index: number, order: ByteOrder, inRow: boolean): boolean {
  return reads.every((words) => {
    if (index + 1 >= words.length) return false;
    const value = decode(words, index, 'float32', order);
    const magnitude = Math.abs(value);
    return (inRow && (value === 0 || Number.isNaN(value))) || (magnitude >= FLOAT_MIN && magnitude <= FLOAT_MAX);
  });
}

/** Returns the printable text that starts at a register, undefined if it is too short. */
function textAt(words: readonly number[], index: number): string | undefined {
  let text = '';
  for (const word of words.slice(index)) {
    const [high, low] = [word >>> 8, word & 0xff];
    if (!isPrintable(high) || !(isPrintable(low) || low === 0)) break;
    text += String.fromCharCode(high, low);
  }
  const isText = text.length >= TEXT_REGISTERS_MIN * 2 && /[A-Za-z]{3}/.test(text);
  return isText ? text : undefined;
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}

function remarkOn(words: readonly number[], index: number, type: ValueType, order: ByteOrder): string {
  const value = decode(words, index, type, order);
  const isCode = notAvailableCodes(type, undefined).suspected.includes(value);
  const shown = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return isCode ? `${shown}: raw ${codeText(type, value)} usually means "not available", set invalid` : shown;
}

function decode(words: readonly number[], index: number, type: ValueType, order: ByteOrder): number {
  const bytes = Buffer.alloc(registersOf(type) * 2);
  for (let at = 0; at * 2 < bytes.length; at += 1) bytes.writeUInt16BE(words[index + at] ?? 0, at * 2);
  return registerDecoder(type, order)(bytes, 0);
}
