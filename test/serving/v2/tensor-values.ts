import * as fc from 'fast-check';
import type { Tensor, TensorData, TensorType } from '../../../src/contracts/inference.ts';
import { datatypes, tensorTypeOf } from '../../../src/protocols/open-inference/datatypes.ts';

export const tensorTypes: readonly TensorType[] = datatypes.map((name) => tensorTypeOf(name) ?? 'bool');

/** Text as ONNX can hold it: whole characters, no NUL. */
const text = fc.string({ unit: 'binary', maxLength: 20 }).map((raw) => raw.replaceAll('\0', ''));

/** Any tensor of a type, of up to 3 dimensions, empty ones too. */
export function tensorOf(type: TensorType): fc.Arbitrary<Tensor> {
  return fc.array(fc.nat({ max: 4 }), { maxLength: 3 }).chain((dims) => {
    const length = dims.reduce((product, size) => product * size, 1);
    return dataOf(type, length).map((data) => ({ type, dims, data }));
  });
}

function dataOf(type: TensorType, length: number): fc.Arbitrary<TensorData> {
  const exactly = { minLength: length, maxLength: length };
  switch (type) {
    case 'bool':
      return fc.uint8Array({ ...exactly, max: 1 });
    case 'uint8':
      return fc.uint8Array(exactly);
    case 'uint16':
    case 'float16':
      return fc.uint16Array(exactly);
    case 'uint32':
      return fc.uint32Array(exactly);
    case 'uint64':
      return fc.bigUint64Array(exactly);
    case 'int8':
      return fc.int8Array(exactly);
    case 'int16':
      return fc.int16Array(exactly);
    case 'int32':
      return fc.int32Array(exactly);
    case 'int64':
      return fc.bigInt64Array(exactly);
    case 'float32':
      return fc.float32Array(exactly);
    case 'float64':
      return fc.float64Array(exactly);
    case 'string':
      return fc.array(text, exactly);
  }
}

/** Elements to compare: half-precision bits as numbers, since a NaN has many. */
export function elements({ type, data }: Tensor): readonly unknown[] {
  if (type === 'float16') {
    const bits = data as Uint16Array;
    return [...new Float16Array(bits.buffer, bits.byteOffset, bits.length)];
  }
  return [...(data as readonly unknown[])];
}

/** A flat list nested as a shape says. */
export function nest(flat: readonly unknown[], dims: readonly number[]): unknown {
  const [size, ...inner] = dims;
  if (size === undefined) return flat[0];
  const length = inner.reduce((product, each) => product * each, 1);
  return Array.from({ length: size }, (_, index) => nest(flat.slice(index * length, (index + 1) * length), inner));
}
