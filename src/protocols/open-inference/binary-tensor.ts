import type { Tensor, TensorData, TensorType } from '../../contracts/inference.ts';
import { elementBytesOf, numbersOver } from '../../contracts/tensor-data.ts';
import { malformed } from './malformed.ts';

/*
 * The binary tensor data extension: elements in little-endian order, row-major, without padding. Each machine that
 * ONNX Runtime runs on is little-endian too, so numbers are copied unchanged.
 */

/** Each string follows its length, an unsigned 32-bit integer. */
const LENGTH_BYTES = 4;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a tensor's elements from their binary form; the result shares no memory with `bytes`.
 *
 * @param what Position of the tensor in the request, for messages.
 * @throws {OperatingError} 'infer-request-invalid' if the length does not match `count` elements, or if ONNX Runtime
 *   would misread a value.
 */
export function decodeBinary(type: TensorType, count: number, bytes: Uint8Array, what: string): TensorData {
  if (type === 'string') return decodeStrings(count, bytes, what);
  const size = elementBytesOf(type) ?? 1;
  if (bytes.length !== count * size)
    throw malformed(`${what} has ${bytes.length} bytes, but ${count} elements of ${size} bytes are ${count * size}`);
  // A copy is aligned; a slice of the body may not be.
  const { buffer } = Uint8Array.from(bytes);
  const data = numbersOver(type, buffer);
  if (type === 'bool') checkBools(data as Uint8Array, what);
  return data;
}

/** Returns the elements of a tensor in binary form; for numbers it shares their memory. */
export function encodeBinary({ type, data }: Tensor): Uint8Array {
  if (type === 'string') return encodeStrings(data as readonly string[]);
  const { buffer, byteOffset, byteLength } = data as Exclude<TensorData, readonly string[]>;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Another value of a bool is undefined behaviour in C++, which reads it next. */
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
      throw malformed(`${what} has string ${index} of ${length} bytes, but only ${bytes.length - offset} are left`);
    strings.push(decodeString(bytes.subarray(offset, offset + length), `String ${index} of ${what}`));
    offset += length;
  }
  if (offset !== bytes.length)
    throw malformed(`${what} has ${bytes.length} bytes, but its ${count} strings end after ${offset}`);
  return strings;
}

/** @throws {OperatingError} 'infer-request-invalid' if the bytes are not UTF-8, the only text encoding of ONNX. */
export function decodeString(bytes: Uint8Array, what: string): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw malformed(`${what} is not UTF-8, which ONNX requires for strings`);
  }
  checkText(text, what);
  return text;
}

/**
 * ONNX Runtime (1.30) reads C strings: without an error it would cut a string at a NUL, and replace a lone surrogate by
 * another character.
 *
 * @throws {OperatingError} 'infer-request-invalid'
 */
export function checkText(text: string, what: string): void {
  if (text.includes('\0')) throw malformed(`${what} has a NUL character, at which ONNX Runtime would cut it`);
  if (!text.isWellFormed()) throw malformed(`${what} has half of a surrogate pair, which is not a character`);
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
