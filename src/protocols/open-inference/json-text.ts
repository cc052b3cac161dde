import { errorMessage } from '../../platform/errors.ts';
import { malformed } from './malformed.ts';
import { RANK_MAX } from './tensor-shape.ts';

/** The request, its list of inputs, an input, its data, and one level for each dimension. */
const DEPTH_MAX = RANK_MAX + 4;
/** Digits of the longest 64-bit integer, with its sign; a longer number does not fit, and BigInt is slow with long ones. */
const LONG_DIGITS_MAX = 20;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses JSON. A bare NaN or Infinity becomes a marked text, which only a tensor of floats accepts.
 *
 * @param bytes JSON as UTF-8.
 * @param what The message, for errors.
 * @throws {OperatingError} 'infer-request-invalid' if it is neither, or nested deeper than any request is: later code may then
 *   recurse, and a few brackets cannot cost much memory.
 */
export function parseJson(bytes: Uint8Array, what = 'The request'): unknown {
  checkDepth(bytes, what);
  const text = jsonText(bytes, what);
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(markNonFinite(text));
    } catch {
      // The error of the text as it was sent has the right position.
    }
    throw malformed(`${what} is not JSON: ${errorMessage(error)}`);
  }
}

/** Returns true for a text that stands for a bare NaN or Infinity: a number where the protocol has none. */
export function isMarkedNonFinite(text: string): boolean {
  return /^\0(?:NaN|-?Infinity)$/.test(text);
}

/** Begins the text that stands for a bare NaN or Infinity. No tensor of strings accepts it. */
export const NON_FINITE_MARK = '\0';
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity|Inf)\b/gs;

/** Replaces NaN and Infinity outside of strings, which Python and Triton write and read as numbers, by marked texts. */
function markNonFinite(text: string): string {
  return text.replace(tokens, (token) => {
    if (token.startsWith('"')) return token;
    const word = token.endsWith('Inf') ? `${token}inity` : token;
    return JSON.stringify(NON_FINITE_MARK + (word === '-NaN' ? 'NaN' : word));
  });
}

/**
 * Returns the same JSON with bigints for integers that a double cannot hold. It is several times slower, so it is used only if needed.
 *
 * @param bytes Bytes that `parseJson` has accepted.
 */
export function parseExactly(bytes: Uint8Array): unknown {
  const text = jsonText(bytes);
  try {
    return JSON.parse(text, exactInteger);
  } catch {
    return JSON.parse(markNonFinite(text), exactInteger);
  }
}

/** Returns true if `parseExactly` may differ from `parseJson`: 2^53 has 16 digits. */
export function hasLongNumbers(bytes: Uint8Array): boolean {
  return /\d{16}/.test(jsonText(bytes));
}

function exactInteger(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? '';
  if (typeof value !== 'number' || Number.isSafeInteger(value) || source.length > LONG_DIGITS_MAX) return value;
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

function jsonText(bytes: Uint8Array, what = 'The message'): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed(`${what} is not UTF-8`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function checkDepth(bytes: Uint8Array, what: string): void {
  // Nearly every request has fewer brackets in all, which is cheaper to count.
  if (opensAtMost(bytes, DEPTH_MAX)) return;
  let depth = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === QUOTE) index = endOfString(bytes, index);
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) depth += 1;
    else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth -= 1;
    if (depth > DEPTH_MAX) throw malformed(`${what} is nested deeper than ${DEPTH_MAX} levels at byte ${index}`);
  }
}

/** Returns true if the text has at most this number of opening brackets and braces, also inside strings. */
function opensAtMost(bytes: Uint8Array, count: number): boolean {
  let opened = 0;
  for (const open of [OPEN_BRACKET, OPEN_BRACE])
    for (let index = bytes.indexOf(open); index >= 0; index = bytes.indexOf(open, index + 1)) {
      opened += 1;
      if (opened > count) return false;
    }
  return true;
}

/** Returns the index of the closing quote; past the end if there is none, which the parser reports. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let index = start + 1; index < bytes.length; index += 1) {
    if (bytes[index] === BACKSLASH) index += 1;
    else if (bytes[index] === QUOTE) return index;
  }
  return bytes.length;
}
