import type { Tensor, TensorData, TensorType } from './inference.ts';

/** Array type of the values of each tensor type; float16 as its bits. */
export const arrayTypes = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  string: Array,
} as const satisfies Record<TensorType, unknown>;

export type NumberType = Exclude<TensorType, 'string'>;
type NumberData = Exclude<TensorData, readonly string[]>;

/** Returns the array of a number type over a buffer: the values in the byte order of the machine. */
export function numbersOver(type: NumberType, buffer: ArrayBuffer): NumberData {
  // The constructor of every typed array takes a buffer, but TypeScript cannot call their union.
  return new (arrayTypes[type] as new (buffer: ArrayBuffer) => NumberData)(buffer);
}

/** Returns the bytes of one element; undefined for strings, each of which has its own length. */
export function elementBytesOf(type: TensorType): number | undefined {
  return type === 'string' ? undefined : arrayTypes[type].BYTES_PER_ELEMENT;
}

/** Returns float16 values as numbers, and the values of other types unchanged. */
export function readable({ type, data }: Tensor): TensorData | Float16Array {
  return type === 'float16' && data instanceof Uint16Array
    ? new Float16Array(data.buffer, data.byteOffset, data.length)
    : data;
}
