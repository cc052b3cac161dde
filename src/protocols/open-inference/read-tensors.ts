import type { Tensor, TensorData, Tensors, TensorType } from '../../contracts/inference.ts';
import { decodeBinary } from './binary-tensor.ts';
import { datatypes, tensorTypeOf } from './datatypes.ts';
import { type JsonObject, listOf, nameOf, objectOf, parametersOf, stringOf } from './json-fields.ts';
import { decodeJson } from './json-tensor.ts';
import { hasLongNumbers, parseExactly, parseJson } from './json-text.ts';
import { malformed, unsupported } from './malformed.ts';
import { checkedElementCount, RANK_MAX } from './tensor-shape.ts';

/** The two parts of a message: the JSON, and the bytes after it. */
export type MessageParts = {
  readonly json: JsonObject;
  /** The JSON as received. */
  readonly header: Uint8Array;
  /** Tensors in binary form, in their order; undefined if the message announces none. */
  readonly binary: Uint8Array | undefined;
};

/** Bytes after the JSON, taken from the front in the order of the tensors. */
type BinaryPart = { bytes: Uint8Array };

/**
 * Splits a message into its parts.
 *
 * @param headerLength `Inference-Header-Content-Length`: bytes of the JSON; undefined if the whole body is JSON.
 * @param what The message, for errors: 'The request'.
 * @throws {OperatingError} 'infer-request-invalid'
 */
export function messageParts(body: Uint8Array, headerLength: number | undefined, what: string): MessageParts {
  if (headerLength !== undefined && headerLength > body.length)
    throw malformed(`Inference-Header-Content-Length is ${headerLength}, but the body has ${body.length} bytes`);
  const header = headerLength === undefined ? body : body.subarray(0, headerLength);
  const binary = headerLength === undefined ? undefined : body.subarray(headerLength);
  return { json: objectOf(parseJson(header, what), what), header, binary };
}

/**
 * Reads the tensors of a message: the inputs of a request, the outputs of an answer.
 *
 * Reading stops at the first error, so a hostile body costs no more than its own size. The result shares no memory with
 * the message.
 *
 * @throws {OperatingError} 'infer-request-invalid' | 'infer-request-unsupported', with the position in the message.
 */
export function readTensors(message: MessageParts, list: 'inputs' | 'outputs'): Tensors {
  const binary = message.binary === undefined ? undefined : { bytes: message.binary };
  const values = listOf(message.json[list], `'${list}'`);
  const kind = list === 'inputs' ? 'Input' : 'Output';
  const tensors = new Map<string, Tensor>();
  let exact: readonly unknown[] | undefined;
  for (const [index, value] of values.entries()) {
    const tensor = objectOf(value, `${list}[${index}]`);
    const name = nameOf(tensor, `${list}[${index}]`);
    const what = `${kind} '${name}'`;
    if (tensors.has(name)) throw malformed(`${what} occurs twice`);
    const head = headOf(tensor, what);
    if (isLong(head.type) && head.binaryBytes === undefined) exact ??= exactly(message.header, list, values);
    const data = exact === undefined ? tensor['data'] : objectOf(exact[index], `${list}[${index}]`)['data'];
    tensors.set(name, tensorOf(head, data, binary, what));
  }
  if (binary !== undefined && binary.bytes.length > 0)
    throw malformed(`${binary.bytes.length} bytes follow after the last ${kind.toLowerCase()}'s binary data`);
  return Object.fromEntries(tensors);
}

/**
 * Reads the tensors of a message whose elements are not JSON.
 *
 * @param values Name, datatype, shape and parameters of each input, as in JSON.
 * @param elements Returns the elements of the tensor at an index of the list. `what` is its position, for errors.
 * @throws {OperatingError} As `readTensors`.
 */
export function readTensorList(
  values: readonly unknown[],
  elements: (index: number, type: TensorType, count: number, what: string) => TensorData,
): Tensors {
  const tensors = new Map<string, Tensor>();
  for (const [index, value] of listOf(values, "'inputs'").entries()) {
    const tensor = objectOf(value, `inputs[${index}]`);
    const name = nameOf(tensor, `inputs[${index}]`);
    const what = `Input '${name}'`;
    if (tensors.has(name)) throw malformed(`${what} occurs twice`);
    const { type, dims, count } = headOf(tensor, what);
    tensors.set(name, { type, dims, data: elements(index, type, count, what) });
  }
  return Object.fromEntries(tensors);
}

type TensorHead = {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly count: number;
  readonly binaryBytes: number | undefined;
};

function headOf(tensor: JsonObject, what: string): TensorHead {
  const type = typeOf(tensor, what);
  const dims = shapeOf(tensor['shape'], what);
  const parameters = parametersOf(tensor, what);
  if (parameters['shared_memory_region'] !== undefined) throw unsupported(`${what}: shared memory`);
  const size = parameters['binary_data_size'];
  if (size !== undefined && !(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0))
    throw malformed(`${what} has binary_data_size ${String(size).slice(0, 40)}, expected a number of bytes`);
  return { type, dims, count: checkedElementCount(dims, what), binaryBytes: size };
}

function typeOf(tensor: JsonObject, what: string): TensorType {
  const datatype = stringOf(tensor['datatype'], `${what} 'datatype'`);
  const type = tensorTypeOf(datatype);
  if (type !== undefined) return type;
  throw malformed(`${what} has datatype '${datatype.slice(0, 40)}', expected one of ${datatypes.join(', ')}`);
}

function tensorOf(head: TensorHead, data: unknown, binary: BinaryPart | undefined, what: string): Tensor {
  const { type, dims, count, binaryBytes } = head;
  if (binaryBytes === undefined) return { type, dims, data: decodeJson(type, dims, count, data, what) };
  if (data !== undefined) throw malformed(`${what} has both 'data' and binary_data_size`);
  if (binary === undefined) throw malformed(`${what} is binary, but there is no Inference-Header-Content-Length`);
  if (binaryBytes > binary.bytes.length)
    throw malformed(
      `${what} has binary_data_size ${binaryBytes}, but ${binary.bytes.length} bytes are left in the body`,
    );
  const own = binary.bytes.subarray(0, binaryBytes);
  binary.bytes = binary.bytes.subarray(binaryBytes);
  return { type, dims, data: decodeBinary(type, count, own, what) };
}

/** Returns the tensors with exact integers; undefined if no number is long enough to need it. */
function exactly(header: Uint8Array, list: string, values: readonly unknown[]): readonly unknown[] {
  if (!hasLongNumbers(header)) return values;
  return listOf(objectOf(parseExactly(header), 'The message')[list], `'${list}'`);
}

function isLong(type: TensorType): boolean {
  return type === 'int64' || type === 'uint64';
}

function shapeOf(value: unknown, what: string): readonly number[] {
  if (!Array.isArray(value)) throw malformed(`${what} has no array 'shape'`);
  if (value.length > RANK_MAX) throw malformed(`${what} has ${value.length} dimensions; the limit is ${RANK_MAX}`);
  const dims: readonly unknown[] = value;
  return dims.map((size, axis) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw malformed(`${what} has a size at axis ${axis} of its shape that is not a whole number of 0 or more`);
  });
}
