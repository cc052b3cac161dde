import type { Tensor, TensorData, Tensors, TensorSpec, TensorType } from '../../contracts/inference.ts';
import { arrayTypes } from '../../contracts/tensor-data.ts';
import { elementCount, shapeText } from '../../contracts/tensor-shape.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

/** Returns whether andon supports a type name of ONNX Runtime. */
export function isTensorType(name: string): name is TensorType {
  return Object.hasOwn(arrayTypes, name);
}

/** Converts plain values to a tensor type; 64-bit integers may be text. */
export function tensorData(type: TensorType, values: readonly (number | string | boolean)[]): TensorData {
  if (type === 'string') return values.map(String);
  if (type === 'int64') return BigInt64Array.from(values, wholeNumber);
  if (type === 'uint64') return BigUint64Array.from(values, wholeNumber);
  const numbers = values.map(Number);
  return type === 'float16' ? new Uint16Array(Float16Array.from(numbers).buffer) : arrayTypes[type].from(numbers);
}

/** @throws {OperatingError} 'model-input-invalid' */
function wholeNumber(value: number | string | boolean): bigint {
  try {
    return BigInt(value);
  } catch (error) {
    throw inferenceFailure('model-input-invalid', `'${value}' is not a whole number`, { cause: error });
  }
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
  const found = nonFinite(inputs);
  if (found !== undefined) throw invalid(`Input ${found}`);
}

/** @throws {OperatingError} 'model-output-invalid' if a float is NaN or infinite. */
export function checkFiniteOutputs(outputs: Tensors): void {
  const found = nonFinite(outputs);
  if (found !== undefined) throw inferenceFailure('model-output-invalid', `Output ${found}`);
}

/** Returns the first float that is NaN or infinite, for a message; undefined if there is none. */
function nonFinite(tensors: Tensors): string | undefined {
  for (const [name, { data }] of Object.entries(tensors)) {
    if (!(data instanceof Float32Array || data instanceof Float64Array)) continue;
    const index = data.findIndex((value) => !Number.isFinite(value));
    if (index >= 0) return `'${name}' has ${data[index]} at ${index}`;
  }
  return undefined;
}

function invalid(message: string): Error {
  return inferenceFailure('model-input-invalid', message);
}
