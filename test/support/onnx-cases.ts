import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import onnxProto, { type onnx as Onnx } from 'onnx-proto';
import type { Tensor, TensorData, TensorType } from '../../src/contracts/inference.ts';

const { onnx } = onnxProto;

/** Folder of the ONNX project's backend test cases in Debian's libonnx-testdata. */
export const onnxCasesDirectory = '/usr/share/libonnx-testdata/data';

/** One model of the ONNX project's backend tests, with what goes in and must come out. */
export type OnnxCase = {
  readonly name: string;
  readonly modelPath: string;
  readonly dataSets: readonly { readonly inputs: readonly Tensor[]; readonly outputs: readonly Tensor[] }[];
};

/** Every case whose data are tensors; in order of name. The `real` models are left out: their data is not in the package. */
export function onnxCases(): readonly OnnxCase[] {
  return ['node', 'pytorch-converted', 'pytorch-operator', 'simple'].flatMap((group) => {
    const folder = join(onnxCasesDirectory, group);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .sort()
      .flatMap((name) => onnxCase(`${group}/${name}`) ?? []);
  });
}

function onnxCase(name: string): OnnxCase | undefined {
  const folder = join(onnxCasesDirectory, name);
  const modelPath = join(folder, 'model.onnx');
  const sets = readdirSync(folder).filter((entry) => entry.startsWith('test_data_set_'));
  if (!existsSync(modelPath) || sets.length === 0) return undefined;
  const { graph } = onnx.ModelProto.decode(readFileSync(modelPath));
  const areTensors = [...(graph?.input ?? []), ...(graph?.output ?? [])].every((value) => value.type?.tensorType);
  if (!areTensors) return undefined;
  try {
    const dataSets = sets.map((set) => ({
      inputs: tensors(join(folder, set), 'input'),
      outputs: tensors(join(folder, set), 'output'),
    }));
    return { name, modelPath, dataSets };
  } catch (error) {
    if (error instanceof UnknownTypeError) return undefined;
    throw error;
  }
}

/** A type that ONNX has and onnxruntime-node does not: complex numbers, bfloat16. */
class UnknownTypeError extends Error {}

function tensors(folder: string, kind: 'input' | 'output'): readonly Tensor[] {
  const count = readdirSync(folder).filter((file) => file.startsWith(`${kind}_`)).length;
  return Array.from({ length: count }, (_, index) => {
    const proto = onnx.TensorProto.decode(readFileSync(join(folder, `${kind}_${index}.pb`)));
    return tensorOfProto(proto);
  });
}

function tensorOfProto(proto: Onnx.ITensorProto): Tensor {
  const type = typeOf(proto.dataType ?? 0);
  return { type, dims: (proto.dims ?? []).map(Number), data: dataOf(type, proto) };
}

function typeOf(dataType: number): TensorType {
  const { DataType } = onnx.TensorProto;
  const types = new Map<number, TensorType>([
    [DataType.FLOAT, 'float32'],
    [DataType.UINT8, 'uint8'],
    [DataType.INT8, 'int8'],
    [DataType.UINT16, 'uint16'],
    [DataType.INT16, 'int16'],
    [DataType.INT32, 'int32'],
    [DataType.INT64, 'int64'],
    [DataType.STRING, 'string'],
    [DataType.BOOL, 'bool'],
    [DataType.FLOAT16, 'float16'],
    [DataType.DOUBLE, 'float64'],
    [DataType.UINT32, 'uint32'],
    [DataType.UINT64, 'uint64'],
  ]);
  const type = types.get(dataType);
  if (type === undefined) throw new UnknownTypeError(`Type ${dataType}`);
  return type;
}

/** Values are in `rawData`, or in the field that ONNX has for their type. */
function dataOf(type: TensorType, proto: Onnx.ITensorProto): TensorData {
  if (type === 'string') return (proto.stringData ?? []).map((bytes) => Buffer.from(bytes).toString('utf8'));
  const raw = proto.rawData;
  if (raw !== null && raw !== undefined && raw.length > 0) return overBytes(type, Uint8Array.from(raw).buffer);
  const bigs = () => [...(proto.int64Data ?? []), ...(proto.uint64Data ?? [])].map((long) => BigInt(String(long)));
  switch (type) {
    case 'float32':
      return Float32Array.from(proto.floatData ?? []);
    case 'float64':
      return Float64Array.from(proto.doubleData ?? []);
    case 'int64':
      return BigInt64Array.from(bigs());
    case 'uint64':
      return BigUint64Array.from(bigs());
    case 'uint32':
      return Uint32Array.from(bigs(), Number);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(proto.int32Data ?? []);
    case 'int8':
      return Int8Array.from(proto.int32Data ?? []);
    case 'int16':
      return Int16Array.from(proto.int32Data ?? []);
    case 'uint16':
    case 'float16':
      return Uint16Array.from(proto.int32Data ?? []);
    case 'int32':
      return Int32Array.from(proto.int32Data ?? []);
  }
}

function overBytes(type: Exclude<TensorType, 'string'>, buffer: ArrayBuffer): TensorData {
  switch (type) {
    case 'bool':
    case 'uint8':
      return new Uint8Array(buffer);
    case 'int8':
      return new Int8Array(buffer);
    case 'uint16':
    case 'float16':
      return new Uint16Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint32':
      return new Uint32Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint64':
      return new BigUint64Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
  }
}

/** The tolerances of the ONNX project's own runner. */
const RELATIVE_MAX = 1e-3;
const ABSOLUTE_MAX = 1e-7;

/** @returns The difference; undefined if every output is as expected. */
export function difference(found: Tensor | undefined, expected: Tensor): string | undefined {
  if (found === undefined) return 'is missing';
  if (found.type !== expected.type) return `is ${found.type}, expected ${expected.type}`;
  if (found.dims.join() !== expected.dims.join())
    return `is [${found.dims.join()}], expected [${expected.dims.join()}]`;
  const foundValues = valuesOf(found);
  const index = valuesOf(expected).findIndex((value, at) => !agree(foundValues[at], value));
  return index < 0
    ? undefined
    : `has ${String(foundValues[index])} at ${index}, expected ${String(valuesOf(expected)[index])}`;
}

function valuesOf({ type, data }: Tensor): readonly (number | bigint | string)[] {
  if (type === 'float16') {
    const { buffer, byteOffset, length } = data as Uint16Array;
    return [...new Float16Array(buffer, byteOffset, length)];
  }
  return [...data];
}

function agree(found: number | bigint | string | undefined, expected: number | bigint | string): boolean {
  if (typeof found !== 'number' || typeof expected !== 'number') return found === expected;
  if (Object.is(found, expected) || found === expected) return true;
  return Math.abs(found - expected) <= ABSOLUTE_MAX + RELATIVE_MAX * Math.abs(expected);
}
