import type { TensorSpec, Tensors } from '../../contracts/inference.ts';
import { decodeBinary, decodeString } from '../../protocols/open-inference/binary-tensor.ts';
import { elementBytesOf } from '../../contracts/tensor-data.ts';
import {
  listOf,
  type MessageParameters,
  nameOf,
  objectOf,
  optionalStringOf,
  parametersOf,
} from '../../protocols/open-inference/json-fields.ts';
import { malformed, unsupported } from '../../protocols/open-inference/malformed.ts';
import { messageParts, readTensors } from '../../protocols/open-inference/read-tensors.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';
import { checkedElementCount } from '../../protocols/open-inference/tensor-shape.ts';

export type RequestedOutput = { readonly name: string; readonly binary: boolean };

export type InferRequest = {
  /** Returned in the response. */
  readonly id: string | undefined;
  /** Returned in the response, without those that describe the form of the request. */
  readonly parameters: MessageParameters;
  readonly inputs: Tensors;
  /** In this order; undefined for all outputs of the model. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** True if outputs that the request does not name are returned in binary form. */
  readonly binaryOutput: boolean;
};

/** A request that names its model. */
export type ModelRequest = InferRequest & { readonly model: string; readonly version: string | undefined };

/**
 * Reads an inference request: JSON, followed by tensors in binary form if `headerLength` is given.
 *
 * Reading stops at the first error, so a hostile body costs no more than its own size. The result shares no memory with `body`.
 *
 * @param headerLength `Inference-Header-Content-Length`: bytes of JSON; undefined if the whole body is JSON.
 * @throws {OperatingError} 'infer-request-invalid' | 'infer-request-unsupported', with the position in the request.
 */
export function parseInferRequest(body: Uint8Array, headerLength: number | undefined): InferRequest {
  const message = messageParts(body, headerLength, 'The request');
  const { json } = message;
  const { binary_data_output: binaryOutput, ...parameters } = parametersOf(json, 'The request');
  checkParameters(parameters);
  const binaryDefault = flag(binaryOutput, "Parameter 'binary_data_output'") ?? false;
  return {
    id: optionalStringOf(json['id'], "'id'"),
    parameters,
    inputs: readTensors(message, 'inputs'),
    outputs: outputsOf(json['outputs'], binaryDefault),
    binaryOutput: binaryDefault,
  };
}

/**
 * Reads a raw binary request: the body contains only the elements of the one input. The size of an open dimension follows from
 * the length of the body; a string is the whole body.
 *
 * @throws {OperatingError} 'infer-request-invalid' if the inputs of the model do not determine how to read it.
 */
export function rawInferRequest(body: Uint8Array, specs: readonly TensorSpec[]): InferRequest {
  const [spec] = specs;
  if (spec === undefined || specs.length !== 1)
    throw malformed(`A raw binary request is for models with one input; this one has ${specs.length}`);
  const what = `Input '${spec.name}'`;
  const dims = rawDims(spec, body.length);
  const count = checkedElementCount(dims, what);
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
  // The first open dimension is the batch: one row if another dimension is open too.
  const open = dims.flatMap((dim, axis) => (dim === -1 ? [axis] : []));
  const variable = open.length > 1 && open[0] === 0 ? open.slice(1) : open;
  const fixed = dims.map((dim, axis) => (dim === -1 && !variable.includes(axis) ? 1 : dim));
  const known = fixed.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
  if (size === undefined) {
    if (known === 1) return fixed.map(() => 1);
    throw malformed(`A raw binary request is one string, but input '${name}' has shape ${shapeText(dims)}`);
  }
  const [axis] = variable;
  if (axis === undefined) return fixed;
  if (variable.length > 1)
    throw malformed(`The shape of input '${name}', ${shapeText(dims)}, does not follow from ${bytes} bytes`);
  const rest = bytes / (known * size);
  if (!Number.isSafeInteger(rest))
    throw malformed(
      `Input '${name}' has ${bytes} bytes, which is not a multiple of ${known * size} (shape ${shapeText(dims)})`,
    );
  return fixed.map((dim, index) => (index === axis ? rest : dim));
}

/** @throws {OperatingError} 'infer-request-unsupported' */
export function checkParameters(parameters: MessageParameters): void {
  const sequence = parameters['sequence_id'];
  if (sequence !== undefined && sequence !== 0 && sequence !== '')
    throw unsupported("Parameter 'sequence_id'", 'models have no state between requests');
}

/**
 * Reads the outputs that a request names; undefined for all.
 *
 * @param value List of objects with `name` and `parameters`.
 * @param binaryDefault True if an output without the parameter `binary_data` is returned in binary form.
 * @throws {OperatingError} 'infer-request-invalid' | 'infer-request-unsupported'
 */
export function outputsOf(value: unknown, binaryDefault: boolean): readonly RequestedOutput[] | undefined {
  if (value === undefined || value === null) return undefined;
  const outputs = listOf(value, "'outputs'");
  const names = new Set<string>();
  const requested = outputs.map((each, index) => {
    const output = objectOf(each, `outputs[${index}]`);
    const name = nameOf(output, `outputs[${index}]`);
    if (names.has(name)) throw malformed(`Output '${name}' is requested twice`);
    names.add(name);
    const parameters = parametersOf(output, `Output '${name}'`);
    if (parameters['classification'] !== undefined && parameters['classification'] !== 0)
      throw unsupported(`Output '${name}': classification`, 'request the scores and sort them');
    if (parameters['shared_memory_region'] !== undefined) throw unsupported(`Output '${name}': shared memory`);
    return { name, binary: flag(parameters['binary_data'], `Output '${name}' 'binary_data'`) ?? binaryDefault };
  });
  return requested.length === 0 ? undefined : requested;
}

function flag(value: MessageParameters[string] | undefined, what: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw malformed(`${what} is neither true nor false`);
}
