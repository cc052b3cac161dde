import type { Tensor, TensorData, Tensors, TensorSpec, TensorType } from '../../contracts/inference.ts';
import { elementCount, shapeText } from '../../contracts/tensor-shape.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

/** Array type of the values of each tensor type. */
const arrayTypes = {
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

/** Returns whether andon supports a type name of ONNX Runtime. */
export function isTensorType(name: string): name is TensorType {
  return Object.hasOwn(arrayTypes, name);
}

/** Converts plain values to a tensor type; 64-bit integers may be text. */
export function tensorData(type: TensorType, values: readonly (number | string | boolean)[]): TensorData {
  switch (type) {
    case 'float16':
      return new Uint16Array(Float16Array.from(values.map(Number)).buffer);
    case 'int64':
      return BigInt64Array.from(values, wholeNumber);
    case 'uint64':
      return BigUint64Array.from(values, wholeNumber);
    case 'string':
      return values.map(String);
    case 'float32':
    case 'float64':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'bool':
      return arrayTypes[type].from(values.map(Number));
  }
}

/** @throws {OperatingError} 'model-input-invalid' */
function wholeNumber(value: number | string | boolean): bigint {
  try {
    return BigInt(value);
  } catch (error) {
    throw inferenceFailure('model-input-invalid', `'${value}' is not a whole number`, { cause: error });
  }
}

/** Returns float16 values as numbers, and the values of other types unchanged. */
export function readable({ type, data }: Tensor): TensorData | Float16Array {
  return type === 'float16' && data instanceof Uint16Array
    ? new Float16Array(data.buffer, data.byteOffset, data.length)
    : data;
}

/**
 * Checks names, types, ranks, dims and lengths against the graph, but not the values.
 *
 * ONNX Runtime (1.30) leaks about 0.7 KiB in each run that it refuses, and ignores unknown inputs. Invalid inputs must
 * therefore not reach it.
 *
 * @param sizeMin Smallest size of a dimension. 0 accepts a tensor without values, such as the empty cache of a decoder.
 * @throws {OperatingError} 'model-input-invalid', naming the input and both shapes.
 */
export function checkInputs(specs: readonly TensorSpec[], inputs: Tensors, sizeMin = 1): void {
  for (const name of Object.keys(inputs))
    if (!specs.some((spec) => spec.name === name))
      throw invalid(`The model has no input '${name}'; it takes ${specs.map((spec) => `'${spec.name}'`).join(', ')}`);
  for (const spec of specs) {
    const tensor = Object.hasOwn(inputs, spec.name) ? inputs[spec.name] : undefined;
    if (tensor === undefined) throw invalid(`Input '${spec.name}' is missing`);
    checkTensor(spec, tensor, sizeMin);
  }
}

function checkTensor(spec: TensorSpec, tensor: Tensor, sizeMin: number): void {
  const { dims, data } = tensor;
  if (tensor.type !== spec.type)
    throw invalid(`Input '${spec.name}' is ${tensor.type}, but the model takes ${spec.type}`);
  if (!(data instanceof arrayTypes[spec.type]))
    throw invalid(`Input '${spec.name}' of ${spec.type} is not a ${arrayTypes[spec.type].name}`);
  const fits =
    dims.length === spec.dims.length &&
    spec.dims.every((size, axis) => {
      const found = dims[axis] ?? 0;
      return Number.isSafeInteger(found) && found >= sizeMin && (size === -1 || size === found);
    });
  if (!fits) throw invalid(`Input '${spec.name}' is ${shapeText(dims)}, but the model takes ${shapeText(spec.dims)}`);
  if (data.length !== elementCount(dims))
    throw invalid(`Input '${spec.name}' has ${data.length} values, but ${shapeText(dims)} are ${elementCount(dims)}`);
}

/** @throws {OperatingError} 'model-input-invalid' if a float is NaN or infinite, because the graph would pass it to its output. */
export function checkFiniteInputs(inputs: Tensors): void {
  for (const [name, tensor] of Object.entries(inputs)) {
    const index = nonFiniteIndex(tensor);
    if (index >= 0) throw invalid(`Input '${name}' has ${String(tensor.data[index])} at ${index}`);
  }
}

/** @throws {OperatingError} 'model-output-invalid' if a float is NaN or infinite. */
export function checkFiniteOutputs(outputs: Tensors): void {
  for (const [name, tensor] of Object.entries(outputs)) {
    const index = nonFiniteIndex(tensor);
    if (index >= 0)
      throw inferenceFailure('model-output-invalid', `Output '${name}' has ${String(tensor.data[index])} at ${index}`);
  }
}

/** Returns the index of the first float that is NaN or infinite; -1 if there is none. */
function nonFiniteIndex(tensor: Tensor): number {
  const { data } = tensor;
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return -1;
  return data.findIndex((value) => !Number.isFinite(value));
}

function invalid(message: string): Error {
  return inferenceFailure('model-input-invalid', message);
}
