import type { Tensor, TensorData, TensorType } from '../../contracts/inference.ts';
import { arrayTypes, readable } from '../../contracts/tensor-data.ts';
import { checkText } from './binary-tensor.ts';
import { datatypeOf } from './datatypes.ts';
import { NON_FINITE_MARK } from './json-text.ts';
import { malformed } from './malformed.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';

/*
 * A tensor's elements in JSON: flat, or nested as its shape is, row-major. JSON has no NaN and no infinity. They are written
 * as the strings "NaN", "Infinity" and "-Infinity", as in the JSON mapping of protocol buffers, which numpy reads too. Requests
 * may also contain the bare words, as Triton's clients write them.
 */

const nonFiniteNumbers: ReadonlyMap<unknown, number> = new Map(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].flatMap((value) => [
    [String(value), value] as const,
    [NON_FINITE_MARK + String(value), value] as const,
  ]),
);

/** Sizes that round to infinity. */
const floatLimits = { float16: 65_520, float32: 2 ** 128 - 2 ** 103, float64: Number.POSITIVE_INFINITY } as const;
type FloatType = keyof typeof floatLimits;

const integerRanges = {
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
} as const;
type IntegerType = keyof typeof integerRanges;

const longRanges = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

/**
 * Reads a tensor's elements from parsed JSON.
 *
 * @param data A flat array of `count` elements, or arrays nested as in `dims`; a single value for `dims` [].
 *   64-bit integers beyond 2^53 as bigint (see `parseExactly`).
 * @throws {OperatingError} 'infer-request-invalid' for the first element that is not of the type or not in its range: no value
 *   is rounded to an integer, wrapped or made infinite.
 */
export function decodeJson(
  type: TensorType,
  dims: readonly number[],
  count: number,
  data: unknown,
  what: string,
): TensorData {
  return decodeElements(type, flatten(dims, count, data, what), what);
}

/** Returns the elements of a tensor as the text of a flat JSON array. */
export function encodeJson({ type, data }: Tensor): string {
  switch (type) {
    case 'bool':
      return `[${Array.from(data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true')).join(',')}]`;
    case 'float16':
    case 'float32':
    case 'float64':
      return floatsJson(readable({ type, data, dims: [] }) as Float32Array | Float64Array | Float16Array);
    case 'string':
      return JSON.stringify(data);
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'uint64':
      return `[${data.join(',')}]`;
  }
}

/** @throws {OperatingError} 'infer-request-invalid' if it is neither flat nor nested as in the shape. */
function flatten(dims: readonly number[], count: number, data: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(data)) {
    if (dims.length === 0 && data !== undefined) return [data];
    throw malformed(`${what} has no array 'data' and no parameter 'binary_data_size'`);
  }
  const elements: readonly unknown[] = data;
  if (dims.length < 2 || !Array.isArray(elements[0])) {
    if (elements.length !== count)
      throw malformed(`${what} has ${elements.length} elements, but shape ${shapeText(dims)} has ${count}`);
    return elements;
  }
  let level = elements;
  checkLevel(level.length, dims, 0, what);
  for (const [axis, size] of dims.entries()) {
    if (axis === 0) continue;
    const next: unknown[] = [];
    for (const inner of level) {
      if (!Array.isArray(inner))
        throw malformed(`${what} is not nested as its shape ${shapeText(dims)} at axis ${axis}`);
      if (inner.length !== size) checkLevel(inner.length, dims, axis, what);
      for (const element of inner) next.push(element);
    }
    level = next;
  }
  return level;
}

function checkLevel(length: number, dims: readonly number[], axis: number, what: string): void {
  if (length !== dims[axis])
    throw malformed(`${what} has ${length} elements at axis ${axis}, but its shape is ${shapeText(dims)}`);
}

function decodeElements(type: TensorType, elements: readonly unknown[], what: string): TensorData {
  switch (type) {
    case 'bool':
      return Uint8Array.from(elements, (element, index) => bool(element, index, what));
    case 'float16':
      return new Uint16Array(floats(type, new Float16Array(elements.length), elements, what).buffer);
    case 'float32':
      return floats(type, new Float32Array(elements.length), elements, what);
    case 'float64':
      return floats(type, new Float64Array(elements.length), elements, what);
    case 'string':
      return elements.map((element, index) => string(element, index, what));
    case 'int64':
      return BigInt64Array.from(elements, (element, index) => long(type, element, index, what));
    case 'uint64':
      return BigUint64Array.from(elements, (element, index) => long(type, element, index, what));
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'int8':
    case 'int16':
    case 'int32':
      return arrayTypes[type].from(elements.map((element, index) => integer(type, element, index, what)));
  }
}

function floats<Floats extends Float16Array<ArrayBuffer> | Float32Array | Float64Array>(
  type: FloatType,
  data: Floats,
  elements: readonly unknown[],
  what: string,
): Floats {
  for (let index = 0; index < elements.length; index += 1) data[index] = float(type, elements[index], index, what);
  return data;
}

function float(type: FloatType, element: unknown, index: number, what: string): number {
  const value = typeof element === 'bigint' ? Number(element) : element;
  if (typeof value === 'number' && Math.abs(value) < floatLimits[type]) return value;
  const nonFinite = nonFiniteNumbers.get(element);
  if (nonFinite !== undefined) return nonFinite;
  throw wrong(type, element, index, what, element === null ? 'a number; NaN is "NaN" here' : 'a number in its range');
}

function integer(type: IntegerType, element: unknown, index: number, what: string): number {
  const [smallest, largest] = integerRanges[type];
  if (typeof element === 'number' && Number.isInteger(element) && element >= smallest && element <= largest)
    return element;
  throw wrong(type, element, index, what, `an integer from ${smallest} to ${largest}`);
}

function long(type: 'int64' | 'uint64', element: unknown, index: number, what: string): bigint {
  const [smallest, largest] = longRanges[type];
  const value = typeof element === 'number' && Number.isSafeInteger(element) ? BigInt(element) : element;
  if (typeof value === 'bigint' && value >= smallest && value <= largest) return value;
  throw wrong(type, element, index, what, `an integer from ${smallest} to ${largest}`);
}

function bool(element: unknown, index: number, what: string): number {
  if (element === true || element === 1) return 1;
  if (element === false || element === 0) return 0;
  throw wrong('bool', element, index, what, 'true or false');
}

function string(element: unknown, index: number, what: string): string {
  if (typeof element !== 'string' || (element.startsWith(NON_FINITE_MARK) && nonFiniteNumbers.has(element)))
    throw wrong('string', element, index, what, 'a string');
  checkText(element, `String ${index} of ${what}`);
  return element;
}

function wrong(type: TensorType, element: unknown, index: number, what: string, expected: string): Error {
  return malformed(`${what} (${datatypeOf(type)}) has ${shown(element)} at ${index}, expected ${expected}`);
}

/** Returns an element for a message, with a limited length. */
function shown(element: unknown): string {
  if (Array.isArray(element)) return 'an array';
  if (typeof element === 'object') return element === null ? 'null' : 'an object';
  if (typeof element === 'string' && element.startsWith(NON_FINITE_MARK)) return element.slice(1, 40);
  if (typeof element === 'string') return JSON.stringify(element.slice(0, 40));
  const isPlain = typeof element === 'number' || typeof element === 'bigint' || typeof element === 'boolean';
  return isPlain ? String(element).slice(0, 40) : typeof element;
}

function floatsJson(data: Float32Array | Float64Array | Float16Array): string {
  let text = '[';
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] ?? 0;
    if (index > 0) text += ',';
    // String() would drop the sign of -0, which JSON has too.
    if (Number.isFinite(value)) text += Object.is(value, -0) ? '-0' : String(value);
    else text += `"${value}"`;
  }
  return `${text}]`;
}
