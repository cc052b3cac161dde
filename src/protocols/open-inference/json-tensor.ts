import type { Tensor, TensorData, TensorType } from '../../contracts/inference.ts';
import { checkText } from './binary-tensor.ts';
import { datatypeOf } from './datatypes.ts';
import { malformed } from './malformed.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';

/*
 * A tensor's elements in JSON: flat, or nested as its shape is, row-major. JSON has no NaN and no infinity; they are
 * the strings "NaN", "Infinity" and "-Infinity" here, as in the JSON mapping of protocol buffers, which numpy reads too.
 */

const nonFiniteNumbers: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const FLOAT32_ROUNDS_TO_INFINITY = 2 ** 128 - 2 ** 103;
const FLOAT16_ROUNDS_TO_INFINITY = 65_520;

type IntegerType = 'uint8' | 'uint16' | 'uint32' | 'int8' | 'int16' | 'int32';
const integerRanges = {
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
} as const satisfies Record<IntegerType, readonly [number, number]>;

const longRanges = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

/**
 * Reads a tensor's elements from parsed JSON.
 *
 * @param data A flat array of `count` elements, or arrays nested as `dims` say; a single value for `dims` [].
 *   64-bit integers beyond 2^53 as bigint (see `parseExactly`).
 * @throws {OperatingError} 'infer-request-invalid' for the first element that is not of the type or not in its range: nothing
 *   is rounded into an integer, wrapped around or made infinite.
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

/** A tensor's elements as the text of a flat JSON array. */
export function encodeJson({ type, data }: Tensor): string {
  switch (type) {
    case 'bool':
      return `[${Array.from(data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true')).join(',')}]`;
    case 'float16':
      return floatsJson(float16View(data as Uint16Array));
    case 'float32':
    case 'float64':
      return floatsJson(data as Float32Array | Float64Array);
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

/** @throws {OperatingError} 'infer-request-invalid' where neither flat nor nested as the shape says. */
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
      return new Uint16Array(
        floats(type, new Float16Array(elements.length), elements, FLOAT16_ROUNDS_TO_INFINITY, what).buffer,
      );
    case 'float32':
      return floats(type, new Float32Array(elements.length), elements, FLOAT32_ROUNDS_TO_INFINITY, what);
    case 'float64':
      return floats(type, new Float64Array(elements.length), elements, Number.POSITIVE_INFINITY, what);
    case 'string':
      return elements.map((element, index) => string(element, index, what));
    case 'int64':
      return BigInt64Array.from(elements, (element, index) => long(type, element, index, what));
    case 'uint64':
      return BigUint64Array.from(elements, (element, index) => long(type, element, index, what));
    case 'uint8':
      return integers(type, new Uint8Array(elements.length), elements, what);
    case 'uint16':
      return integers(type, new Uint16Array(elements.length), elements, what);
    case 'uint32':
      return integers(type, new Uint32Array(elements.length), elements, what);
    case 'int8':
      return integers(type, new Int8Array(elements.length), elements, what);
    case 'int16':
      return integers(type, new Int16Array(elements.length), elements, what);
    case 'int32':
      return integers(type, new Int32Array(elements.length), elements, what);
  }
}

function floats<Floats extends Float16Array<ArrayBuffer> | Float32Array | Float64Array>(
  type: TensorType,
  data: Floats,
  elements: readonly unknown[],
  limit: number,
  what: string,
): Floats {
  for (let index = 0; index < elements.length; index += 1)
    data[index] = float(type, elements[index], limit, index, what);
  return data;
}

function float(type: TensorType, element: unknown, limit: number, index: number, what: string): number {
  const value = typeof element === 'bigint' ? Number(element) : element;
  if (typeof value === 'number' && Math.abs(value) < limit) return value;
  const nonFinite = nonFiniteNumbers.get(element);
  if (nonFinite !== undefined) return nonFinite;
  throw wrong(type, element, index, what, element === null ? 'a number; NaN is "NaN" here' : 'a number in its range');
}

function integers<Integers extends Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array>(
  type: IntegerType,
  data: Integers,
  elements: readonly unknown[],
  what: string,
): Integers {
  const [smallest, largest] = integerRanges[type];
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index];
    if (typeof element !== 'number' || !Number.isInteger(element) || element < smallest || element > largest)
      throw wrong(type, element, index, what, `an integer from ${smallest} to ${largest}`);
    data[index] = element;
  }
  return data;
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
  if (typeof element !== 'string') throw wrong('string', element, index, what, 'a string');
  checkText(element, `String ${index} of ${what}`);
  return element;
}

function wrong(type: TensorType, element: unknown, index: number, what: string, expected: string): Error {
  return malformed(`${what} (${datatypeOf(type)}) has ${shown(element)} at ${index}, expected ${expected}`);
}

/** An element for a message, of bounded length. */
function shown(element: unknown): string {
  switch (typeof element) {
    case 'string':
      return JSON.stringify(element.slice(0, 40));
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(element).slice(0, 40);
    case 'object':
      return element === null ? 'null' : Array.isArray(element) ? 'an array' : 'an object';
    case 'undefined':
    case 'function':
    case 'symbol':
      return typeof element;
  }
}

function floatsJson(data: Float32Array | Float64Array | Float16Array): string {
  let text = '[';
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] ?? 0;
    if (index > 0) text += ',';
    // -0 has its sign in JSON too, which String() would take from it.
    if (Number.isFinite(value)) text += Object.is(value, -0) ? '-0' : String(value);
    else text += `"${value}"`;
  }
  return `${text}]`;
}

/** Half-precision floats are their bits everywhere but here. */
function float16View(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length);
}
