import type { TensorSpec, Tensors } from '../../contracts/inference.ts';
import { decodeBinary, decodeString } from '../../protocols/open-inference/binary-tensor.ts';
import { elementBytesOf } from '../../protocols/open-inference/datatypes.ts';
import type { JsonObject, MessageParameters } from '../../protocols/open-inference/json-fields.ts';
import {
  listOf,
  nameOf,
  objectOf,
  optionalStringOf,
  parametersOf,
} from '../../protocols/open-inference/json-fields.ts';
import { unsupported } from '../../protocols/open-inference/malformed.ts';
import { messageParts, readTensors } from '../../protocols/open-inference/read-tensors.ts';
import { elementCount, shapeText } from '../../protocols/open-inference/tensor-shape.ts';
import { invalid } from './v2-errors.ts';

export type RequestedOutput = { readonly name: string; readonly binary: boolean };

export type InferRequest = {
  /** Given back in the answer. */
  readonly id: string | undefined;
  /** Given back in the answer; without those that are about the request's own form. */
  readonly parameters: MessageParameters;
  readonly inputs: Tensors;
  /** In this order; undefined for all that the model has. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** Whether outputs come in the binary form where nobody named them. */
  readonly binaryOutput: boolean;
};

/**
 * Reads an inference request: JSON, followed by the tensors in their binary form where `headerLength` is given.
 *
 * Reading stops at the first thing that is wrong, so that a hostile body costs no more than its own size. What is read
 * shares no memory with `body`.
 *
 * @param headerLength `Inference-Header-Content-Length`: bytes of the JSON; undefined where all of the body is JSON.
 * @throws {OperatingError} 'infer-request-invalid' | 'infer-request-unsupported', naming the place.
 */
export function parseInferRequest(body: Uint8Array, headerLength: number | undefined): InferRequest {
  const message = messageParts(body, headerLength, 'The request');
  const { json } = message;
  const { binary_data_output: binaryOutput, ...parameters } = parametersOf(json, 'The request');
  if (parameters['sequence_id'] !== undefined && parameters['sequence_id'] !== 0)
    throw unsupported("Parameter 'sequence_id'", 'models have no state between requests');
  const binaryDefault = flag(binaryOutput, "Parameter 'binary_data_output'") ?? false;
  return {
    id: optionalStringOf(json['id'], "'id'"),
    parameters,
    inputs: readTensors(message, 'inputs'),
    outputs: outputsOf(json, binaryDefault),
    binaryOutput: binaryDefault,
  };
}

/**
 * Reads a raw binary request, whose body is the one input's elements and nothing else; a dimension of any size is what the
 * length leaves for it, and a string is the whole body.
 *
 * @throws {OperatingError} 'infer-request-invalid' where the model's inputs do not tell how to read it.
 */
export function rawInferRequest(body: Uint8Array, specs: readonly TensorSpec[]): InferRequest {
  const [spec] = specs;
  if (spec === undefined || specs.length !== 1)
    throw invalid(`A raw binary request is for models with one input; this one has ${specs.length}`);
  const what = `Input '${spec.name}'`;
  const dims = rawDims(spec, body.length);
  const count = elementCount(dims, what);
  const data = spec.type === 'string' ? [decodeString(body, what)] : decodeBinary(spec.type, count, body, what);
  return {
    id: undefined,
    parameters: {},
    inputs: { [spec.name]: { type: spec.type, dims, data } },
    outputs: undefined,
    binaryOutput: true,
  };
}

function rawDims({ name, type, dims }: TensorSpec, bytes: number): readonly number[] {
  const size = elementBytesOf(type);
  // The first open dimension is the batch: one row, where another is open too.
  const open = dims.flatMap((dim, axis) => (dim === -1 ? [axis] : []));
  const variable = open.length > 1 && open[0] === 0 ? open.slice(1) : open;
  const fixed = dims.map((dim, axis) => (dim === -1 && !variable.includes(axis) ? 1 : dim));
  const known = fixed.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
  if (size === undefined) {
    if (known === 1) return fixed.map(() => 1);
    throw invalid(`A raw binary request is one string, but input '${name}' has shape ${shapeText(dims)}`);
  }
  const [axis] = variable;
  if (axis === undefined) return fixed;
  if (variable.length > 1)
    throw invalid(`The shape of input '${name}', ${shapeText(dims)}, does not follow from ${bytes} bytes`);
  const rest = bytes / (known * size);
  if (!Number.isSafeInteger(rest))
    throw invalid(
      `Input '${name}' has ${bytes} bytes, no multiple of ${known * size} as its shape ${shapeText(dims)} asks`,
    );
  return fixed.map((dim, index) => (index === axis ? rest : dim));
}

function outputsOf(request: JsonObject, binaryDefault: boolean): readonly RequestedOutput[] | undefined {
  if (request['outputs'] === undefined || request['outputs'] === null) return undefined;
  const outputs = listOf(request['outputs'], "'outputs'");
  const names = new Set<string>();
  const requested = outputs.map((value, index) => {
    const output = objectOf(value, `outputs[${index}]`);
    const name = nameOf(output, `outputs[${index}]`);
    if (names.has(name)) throw invalid(`Output '${name}' is asked for twice`);
    names.add(name);
    const parameters = parametersOf(output, `Output '${name}'`);
    if (parameters['classification'] !== undefined && parameters['classification'] !== 0)
      throw unsupported(`Output '${name}': classification`, 'ask for the scores and sort them');
    if (parameters['shared_memory_region'] !== undefined) throw unsupported(`Output '${name}': shared memory`);
    return { name, binary: flag(parameters['binary_data'], `Output '${name}' 'binary_data'`) ?? binaryDefault };
  });
  return requested.length === 0 ? undefined : requested;
}

function flag(value: MessageParameters[string] | undefined, what: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`${what} is neither true nor false`);
}
