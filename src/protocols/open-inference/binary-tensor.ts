import type { Tensor, TensorData, TensorType } from '../../contracts/inference.ts';
import { elementBytesOf, numbersOver } from '../../contracts/tensor-data.ts';
import { malformed } from './malformed.ts';

/*
 * The binary tensor data extension: elements in little-endian order, row-major, without padding. Each machine that
 * ONNX Runtime runs on is little-endian too, so numbers are copied as they are.
 */

/** A string's length stands before it as an unsigned 32-bit integer. */
const LENGTH_BYTES = 4;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a tensor's elements from their binary form; the result shares no memory with `bytes`.
 *
 * @param what The tensor's place in the request, for messages.
 * @throws {OperatingError} 'infer-request-invalid' where the length is not that of `count` elements, or a value
 *   is one that ONNX Runtime would misread.
 */
export function decodeBinary(type: TensorType, count: number, bytes: Uint8Array, what: string): TensorData {
  if (type === 'string') return decodeStrings(count, bytes, what);
  const size = elementBytesOf(type) ?? 1;
  if (bytes.length !== count * size)
    throw malformed(`${what} has ${bytes.length} bytes, but ${count} elements of ${size} bytes are ${count * size}`);
  // A copy is aligned, which a slice of the body need not be.
  const { buffer } = Uint8Array.from(bytes);
  const data = numbersOver(type, buffer);
  if (type === 'bool') checkBools(data as Uint8Array, what);
  return data;
}

/** The binary form of a tensor's elements; for numbers it shares their memory. */
export function encodeBinary({ type, data }: Tensor): Uint8Array {
  if (type === 'string') return encodeStrings(data as readonly string[]);
  const { buffer, byteOffset, byteLength } = data as Exclude<TensorData, readonly string[]>;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** In C++, which reads them next, a bool of another value is undefined behaviour. */
function checkBools(data: Uint8Array, what: string): void {
  const index = data.findIndex((byte) => byte > 1);
  if (index >= 0) throw malformed(`${what} has byte ${data[index]} at ${index}; a BOOL is 0 or 1`);
}

function decodeStrings(count: number, bytes: Uint8Array, what: string): readonly string[] {
  if (count * LENGTH_BYTES > bytes.length)
    throw malformed(`${what} has ${bytes.length} bytes, too few for the lengths of ${count} strings`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings: string[] = [];
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    if (offset + LENGTH_BYTES > bytes.length) throw malformed(`${what} ends before string ${index} of ${count}`);
    const length = view.getUint32(offset, true);
    offset += LENGTH_BYTES;
    if (length > bytes.length - offset)
      throw malformed(`${what} says that string ${index} has ${length} bytes, but ${bytes.length - offset} are left`);
    strings.push(decodeString(bytes.subarray(offset, offset + length), `String ${index} of ${what}`));
    offset += length;
  }
  if (offset !== bytes.length)
    throw malformed(`${what} has ${bytes.length} bytes, but its ${count} strings end after ${offset}`);
  return strings;
}

/** @throws {OperatingError} 'infer-request-invalid' for what is no UTF-8, the only text that ONNX has. */
export function decodeString(bytes: Uint8Array, what: string): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw malformed(`${what} is not UTF-8, as ONNX wants its strings`);
  }
  checkText(text, what);
  return text;
}

/**
 * ONNX Runtime (1.30) takes strings as C does: one with a NUL in it would arrive shorter, and a lone surrogate as
 * another character; both without a word.
 *
 * @throws {OperatingError} 'infer-request-invalid'
 */
export function checkText(text: string, what: string): void {
  if (text.includes('\0')) throw malformed(`${what} has a NUL character, which ONNX Runtime would cut it at`);
  if (!text.isWellFormed()) throw malformed(`${what} has half of a surrogate pair, which is no character`);
}

function encodeStrings(strings: readonly string[]): Uint8Array {
  const parts = strings.map((text) => Buffer.from(text, 'utf8'));
  const encoded = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + LENGTH_BYTES + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    encoded.writeUInt32LE(part.length, offset);
    part.copy(encoded, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + part.length;
  }
  return encoded;
}
