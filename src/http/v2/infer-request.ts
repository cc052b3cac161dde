import type { Tensor, TensorSpec, Tensors, TensorType } from '../../contracts/inference.ts';
import { decodeBinary, decodeString } from './binary-tensor.ts';
import { datatypes, elementBytesOf, tensorTypeOf } from './datatypes.ts';
import { decodeJson } from './json-tensor.ts';
import { hasLongNumbers, parseExactly, parseJson } from './json-text.ts';
import { elementCount, RANK_MAX, shapeText } from './tensor-shape.ts';
import { invalid, v2Failure } from './v2-errors.ts';

/** Of a request or a tensor; the protocol knows no others. */
type ParameterValue = string | number | boolean;
export type InferParameters = Readonly<Record<string, ParameterValue>>;

export type RequestedOutput = { readonly name: string; readonly binary: boolean };

export type InferRequest = {
  /** Given back in the answer. */
  readonly id: string | undefined;
  /** Given back in the answer; without those that are about the request's own form. */
  readonly parameters: InferParameters;
  readonly inputs: Tensors;
  /** In this order; undefined for all that the model has. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** Whether outputs come in the binary form where nobody named them. */
  readonly binaryOutput: boolean;
};

/** Tensors in one request; each costs a few hundred bytes whatever it holds. */
const TENSORS_MAX = 1024;
const NAME_LENGTH_MAX = 1024;

type JsonObject = Readonly<Record<string, unknown>>;
/** Bytes after the JSON, taken from the front in the order of the inputs. */
type BinaryPart = { bytes: Uint8Array };

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
  if (headerLength !== undefined && headerLength > body.length)
    throw invalid(`Inference-Header-Content-Length is ${headerLength}, but the body has ${body.length} bytes`);
  const header = headerLength === undefined ? body : body.subarray(0, headerLength);
  const binary = headerLength === undefined ? undefined : { bytes: body.subarray(headerLength) };
  const request = object(parseJson(header), 'The request');
  const { binary_data_output: binaryOutput, ...parameters } = parametersOf(request, 'The request');
  if (parameters['sequence_id'] !== undefined && parameters['sequence_id'] !== 0)
    throw unsupported("Parameter 'sequence_id': models here have no state between requests");
  const binaryDefault = flag(binaryOutput, "Parameter 'binary_data_output'") ?? false;
  return {
    id: optionalString(request['id'], "'id'"),
    parameters,
    inputs: inputsOf(request, header, binary),
    outputs: outputsOf(request, binaryDefault),
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

function inputsOf(request: JsonObject, header: Uint8Array, binary: BinaryPart | undefined): Tensors {
  const inputs = list(request['inputs'], "'inputs'");
  const tensors = new Map<string, Tensor>();
  let exact: readonly unknown[] | undefined;
  for (const [index, value] of inputs.entries()) {
    const input = object(value, `inputs[${index}]`);
    const name = nameOf(input, `inputs[${index}]`);
    if (tensors.has(name)) throw invalid(`Input '${name}' is there twice`);
    const head = headOf(input, `Input '${name}'`);
    if (isLong(head.type) && head.binaryBytes === undefined) exact ??= exactInputs(header, inputs);
    const data = exact === undefined ? input['data'] : object(exact[index], `inputs[${index}]`)['data'];
    tensors.set(name, tensorOf(head, data, binary, `Input '${name}'`));
  }
  if (binary !== undefined && binary.bytes.length > 0)
    throw invalid(`${binary.bytes.length} bytes follow after the last input's binary data`);
  return Object.fromEntries(tensors);
}

type TensorHead = {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly count: number;
  readonly binaryBytes: number | undefined;
};

function headOf(input: JsonObject, what: string): TensorHead {
  const datatype = requiredString(input['datatype'], `${what} 'datatype'`);
  const type = tensorTypeOf(datatype);
  if (type === undefined)
    throw invalid(`${what} has datatype '${datatype.slice(0, 40)}', expected one of ${datatypes.join(', ')}`);
  const dims = shapeOf(input['shape'], what);
  const parameters = parametersOf(input, what);
  if (parameters['shared_memory_region'] !== undefined) throw unsupported(`${what}: shared memory`);
  const size = parameters['binary_data_size'];
  if (size !== undefined && !(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0))
    throw invalid(`${what} has binary_data_size ${String(size).slice(0, 40)}, expected a number of bytes`);
  return { type, dims, count: elementCount(dims, what), binaryBytes: size };
}

function tensorOf(head: TensorHead, data: unknown, binary: BinaryPart | undefined, what: string): Tensor {
  const { type, dims, count, binaryBytes } = head;
  if (binaryBytes === undefined) return { type, dims, data: decodeJson(type, dims, count, data, what) };
  if (data !== undefined) throw invalid(`${what} has both 'data' and binary_data_size`);
  if (binary === undefined) throw invalid(`${what} is binary, but there is no Inference-Header-Content-Length`);
  if (binaryBytes > binary.bytes.length)
    throw invalid(`${what} has binary_data_size ${binaryBytes}, but ${binary.bytes.length} bytes are left in the body`);
  const own = binary.bytes.subarray(0, binaryBytes);
  binary.bytes = binary.bytes.subarray(binaryBytes);
  return { type, dims, data: decodeBinary(type, count, own, what) };
}

/** The inputs once more with exact integers; as they were where no number is long enough to need it. */
function exactInputs(header: Uint8Array, inputs: readonly unknown[]): readonly unknown[] {
  if (!hasLongNumbers(header)) return inputs;
  return list(object(parseExactly(header), 'The request')['inputs'], "'inputs'");
}

function isLong(type: TensorType): boolean {
  return type === 'int64' || type === 'uint64';
}

function outputsOf(request: JsonObject, binaryDefault: boolean): readonly RequestedOutput[] | undefined {
  if (request['outputs'] === undefined || request['outputs'] === null) return undefined;
  const outputs = list(request['outputs'], "'outputs'");
  const names = new Set<string>();
  const requested = outputs.map((value, index) => {
    const output = object(value, `outputs[${index}]`);
    const name = nameOf(output, `outputs[${index}]`);
    if (names.has(name)) throw invalid(`Output '${name}' is asked for twice`);
    names.add(name);
    const parameters = parametersOf(output, `Output '${name}'`);
    if (parameters['classification'] !== undefined && parameters['classification'] !== 0)
      throw unsupported(`Output '${name}': classification; ask for the scores and sort them`);
    if (parameters['shared_memory_region'] !== undefined) throw unsupported(`Output '${name}': shared memory`);
    return { name, binary: flag(parameters['binary_data'], `Output '${name}' 'binary_data'`) ?? binaryDefault };
  });
  return requested.length === 0 ? undefined : requested;
}

function parametersOf(owner: JsonObject, what: string): Record<string, ParameterValue> {
  const value = owner['parameters'];
  if (value === undefined || value === null) return {};
  const entries = Object.entries(object(value, `${what} 'parameters'`));
  return Object.fromEntries(
    entries.map(([name, parameter]) => {
      if (typeof parameter === 'string' || typeof parameter === 'number' || typeof parameter === 'boolean')
        return [name, parameter];
      throw invalid(`${what} has parameter '${name.slice(0, 40)}' that is no string, number or boolean`);
    }),
  );
}

function shapeOf(value: unknown, what: string): readonly number[] {
  if (!Array.isArray(value)) throw invalid(`${what} has no array 'shape'`);
  if (value.length > RANK_MAX) throw invalid(`${what} has ${value.length} dimensions; ${RANK_MAX} are the most`);
  const dims: readonly unknown[] = value;
  return dims.map((size, axis) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw invalid(`${what} has a size at axis ${axis} of its shape that is no whole number of 0 or more`);
  });
}

function nameOf(owner: JsonObject, what: string): string {
  const name = requiredString(owner['name'], `${what} 'name'`);
  if (name.length > NAME_LENGTH_MAX) throw invalid(`${what} has a name of ${name.length} characters`);
  return name;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} is missing or no array`);
  if (value.length > TENSORS_MAX) throw invalid(`${what} has ${value.length} elements; ${TENSORS_MAX} are the most`);
  return value;
}

function object(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what} is no JSON object`);
  // What JSON.parse gives for an object; each value is looked at where it is used.
  return value as JsonObject;
}

function requiredString(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(`${what} is missing or no string`);
  return value;
}

function optionalString(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(`${what} is no string`);
  return value;
}

function flag(value: ParameterValue | undefined, what: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`${what} is neither true nor false`);
}

function unsupported(what: string): Error {
  return v2Failure('infer-request-unsupported', `${what} is not supported here`);
}
