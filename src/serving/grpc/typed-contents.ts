import type { Tensor, TensorData, TensorType } from '../../contracts/inference.ts';
import { decodeString } from '../../protocols/open-inference/binary-tensor.ts';
import { datatypeOf } from '../../protocols/open-inference/datatypes.ts';
import { decodeJson } from '../../protocols/open-inference/json-tensor.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';
import type { Long } from './parameters.ts';

/** `InferTensorContents`: one field has the elements. */
export type TensorContents = {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly Long[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly Long[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Uint8Array[];
};

/** Field with the elements of each type. The protocol has none for half precision. */
const fieldOfType = {
  bool: 'bool_contents',
  int8: 'int_contents',
  int16: 'int_contents',
  int32: 'int_contents',
  int64: 'int64_contents',
  uint8: 'uint_contents',
  uint16: 'uint_contents',
  uint32: 'uint_contents',
  uint64: 'uint64_contents',
  float16: undefined,
  float32: 'fp32_contents',
  float64: 'fp64_contents',
  string: 'bytes_contents',
} as const satisfies Record<TensorType, keyof TensorContents | undefined>;

export function hasTypedContents(type: TensorType): boolean {
  return fieldOfType[type] !== undefined;
}

export function hasElements(contents: TensorContents | null): boolean {
  return Object.values(contents ?? {}).some((list) => list.length > 0);
}

/**
 * Reads the elements of a tensor from their typed form.
 *
 * @param what Position of the tensor in the request, for messages.
 * @throws {OperatingError} 'infer-request-invalid' if their number or a value is wrong, or another field has elements.
 */
export function readContents(
  contents: TensorContents | null,
  type: TensorType,
  count: number,
  what: string,
): TensorData {
  const field = fieldOfType[type];
  if (field === undefined) throw malformed(`${what} is FP16, which only raw_input_contents can have`);
  const other = Object.entries(contents ?? {}).find(([name, list]) => name !== field && list.length > 0);
  if (other !== undefined) throw malformed(`${what} is ${datatypeOf(type)} and has ${other[0]}, expected ${field}`);
  const elements = contents?.[field] ?? [];
  if (elements.length !== count)
    throw malformed(`${what} has ${elements.length} elements in ${field}, but its shape has ${count}`);
  return dataOf(type, contents, count, what);
}

function dataOf(type: TensorType, contents: TensorContents | null, count: number, what: string): TensorData {
  switch (type) {
    case 'float32':
      return Float32Array.from(contents?.fp32_contents ?? []);
    case 'float64':
      return Float64Array.from(contents?.fp64_contents ?? []);
    case 'int64':
      return BigInt64Array.from(contents?.int64_contents ?? [], bigintOf);
    case 'uint64':
      return BigUint64Array.from(contents?.uint64_contents ?? [], bigintOf);
    case 'string':
      return (contents?.bytes_contents ?? []).map((bytes, index) => decodeString(bytes, `String ${index} of ${what}`));
    case 'bool':
      return Uint8Array.from(contents?.bool_contents ?? [], Number);
    case 'int8':
    case 'int16':
    case 'int32':
      return decodeJson(type, [count], count, contents?.int_contents ?? [], what);
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return decodeJson(type, [count], count, contents?.uint_contents ?? [], what);
    case 'float16':
      return new Uint16Array();
  }
}

/** Returns `InferTensorContents` with the elements of a tensor. Its type must not be half precision. */
export function writeContents({ type, data }: Tensor): object {
  const field = fieldOfType[type];
  if (field === undefined) return {};
  const elements: readonly (number | bigint | string)[] = Array.from<number | bigint | string>(data);
  if (type === 'string') return { [field]: elements.map((text) => Buffer.from(String(text), 'utf8')) };
  if (type === 'bool') return { [field]: elements.map((bit) => bit !== 0) };
  // The library writes texts of 64-bit integers exactly.
  return { [field]: typeof elements[0] === 'bigint' ? elements.map(String) : elements };
}

function bigintOf({ high, low, unsigned }: Long): bigint {
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return unsigned ? bits : BigInt.asIntN(64, bits);
}
