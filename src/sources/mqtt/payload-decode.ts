import { errorMessage } from '../../platform/errors.ts';
import { numberOfText, type ValueMap } from '../text-value.ts';

const wholeNumber = /^[+-]?\d+$/;
/** A whole number that may be beyond 2^53. */
const manyDigits = /(?<![\d.])\d{16,}(?![\d.eE])/;
/** A text in JSON, or a word that Python or C writes where JSON has a number, `true`, `false` or `null`. */
const foreignWord =
  /"(?:[^"\\]|\\.)*"|(?<![\w.])[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?|1\.#(?:qnan|snan|ind|inf)\w*|true|false|none)(?![\w.])/gi;
/** Characters of an error of the JSON parser that are shown. */
const ERROR_MAX = 120;

/**
 * Returns the text of a payload without a byte order mark and without NUL bytes and blanks around it, which programs in C add.
 * A payload with the byte order mark of UTF-16 is read as that.
 */
export function payloadText(payload: Buffer): string {
  const isUtf16 = payload[0] === 0xff && payload[1] === 0xfe;
  const text = payload.toString(isUtf16 ? 'utf16le' : 'utf8').replace(/^\uFEFF/, '');
  // oxlint-disable-next-line no-control-regex -- It removes them.
  return text.replace(/[\0\s]+$/, '').trimStart();
}

/**
 * Decodes a payload that is a plain value: `12.5`, `-3e2`, `true`, `"12.5"`.
 * @returns Undefined if it is not a value; true and false are 1 and 0.
 */
export function decodePlainValue(text: string, map: ValueMap | undefined): number | undefined {
  const quoted = /^"([^"\\]*)"$/.exec(text)?.[1];
  return numberOfText(quoted ?? text, map);
}

/** Converts a JSON value: what the map says, a number, a boolean (1 or 0), or a text that is a number. */
export function decodeJsonValue(value: unknown, map: ValueMap | undefined): number | undefined {
  if (map !== undefined && (typeof value === 'number' || typeof value === 'boolean')) {
    const mapped = map.get(String(value));
    if (mapped !== undefined) return mapped;
  }
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' ? numberOfText(value, map) : undefined;
}

/**
 * Parses a JSON document. An integer that float64 cannot represent becomes a bigint of the nearest float64. NaN and Infinity,
 * as Python and C write them, become texts.
 */
export function decodeJson(text: string): { readonly document: unknown } | { readonly error: string } {
  try {
    return { document: parse(text) };
  } catch (error) {
    try {
      return { document: parse(text.replace(foreignWord, jsonOfWord)) };
    } catch {
      return { error: errorMessage(error).replaceAll(/\s+/g, ' ').slice(0, ERROR_MAX) };
    }
  }
}

function parse(text: string): unknown {
  // A reviver takes several times as long, and few payloads have so many digits.
  return manyDigits.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
}

function jsonOfWord(word: string): string {
  const name = word.toLowerCase();
  if (word.startsWith('"')) return word;
  if (name === 'true' || name === 'false') return name;
  if (name === 'none') return 'null';
  return name.includes('inf') ? (name.startsWith('-') ? '"-Infinity"' : '"Infinity"') : '"NaN"';
}

/**
 * True if an integer beyond 2^53 changes when it is converted to float64.
 * @param text A decimal number.
 */
export function isRounded(text: string): boolean {
  const value = Number(text);
  if (!wholeNumber.test(text) || Number.isSafeInteger(value)) return false;
  return Number.isFinite(value) && String(value) !== text;
}

/** For `JSON.parse`. @param context `source` is the text of a number; the types of the library do not declare it. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' && isRounded(context?.source ?? '') ? BigInt(value) : value;
}
