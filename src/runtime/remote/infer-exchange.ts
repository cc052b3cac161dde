import type { Tensor, Tensors, TensorSpec } from '../../contracts/inference.ts';
import { optionalStringOf } from '../../protocols/open-inference/json-fields.ts';
import { messageParts, readTensors } from '../../protocols/open-inference/read-tensors.ts';
import { encodeMessage } from '../../protocols/open-inference/write-tensors.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { shapeText } from '../../contracts/tensor-shape.ts';
import type { RemoteAnswer, RemoteRequest } from './remote-client.ts';
import { remoteFailure } from '../../models/errors/remote-errors.ts';

/** Header with the number of JSON bytes of a body; the rest is binary tensors. */
const HEADER_LENGTH = 'inference-header-content-length';

export type InferOrder = {
  /** Unique id of the request; its answer must carry it too. */
  readonly id: string;
  /** Path of the model on the server, from `/v2` on. */
  readonly path: string;
  readonly inputs: Tensors;
  /** Names of the requested outputs. */
  readonly outputs: readonly string[];
  /** True if the server has the binary tensor data extension. */
  readonly binary: boolean;
};

export type InferExpectation = {
  readonly id: string;
  /** On the server. */
  readonly model: string;
  readonly outputs: readonly TensorSpec[];
  /** Number of rows that each output must have; undefined if unknown. */
  readonly rows: number | undefined;
};

export type InferResult = {
  readonly outputs: Tensors;
  /** Version reported by the server; undefined if it reports none. */
  readonly version: string | undefined;
};

/** An inference request as the protocol has it. */
export function inferRequest({ id, path, inputs, outputs, binary }: InferOrder): RemoteRequest {
  const wanted = outputs.map((name) => (binary ? { name, parameters: { binary_data: true } } : { name }));
  const { body, headerLength } = encodeMessage(
    `{"id":${JSON.stringify(id)}`,
    'inputs',
    Object.entries(inputs).map(([name, tensor]) => ({ name, tensor, binary })),
    `,"outputs":${JSON.stringify(wanted)}`,
  );
  const headers: Record<string, string> =
    headerLength === undefined
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(headerLength) };
  return { method: 'POST', path: `${path}/infer`, headers, body };
}

/**
 * Reads the answer to an inference request and checks it against the request. An answer with any fault is not used.
 *
 * @throws {OperatingError} 'remote-answer-invalid' with the position.
 */
export function readInferAnswer(answer: RemoteAnswer, expected: InferExpectation): InferResult {
  try {
    const message = messageParts(answer.body, headerLengthOf(answer), 'The answer');
    const { json } = message;
    const id = optionalStringOf(json['id'], "'id'");
    if (id !== expected.id) throw wrong(`The answer is to request ${shown(id)}, not to '${expected.id}'`);
    const model = optionalStringOf(json['model_name'], "'model_name'");
    if (model !== expected.model) throw wrong(`The answer is of model ${shown(model)}, not of '${expected.model}'`);
    const version = optionalStringOf(json['model_version'], "'model_version'");
    return { outputs: checkedOutputs(readTensors(message, 'outputs'), expected), version };
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code === 'remote-answer-invalid') throw error;
    throw wrong(errorMessage(error), error);
  }
}

function headerLengthOf({ headers }: RemoteAnswer): number | undefined {
  const text = headers[HEADER_LENGTH];
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw wrong(`Inference-Header-Content-Length ${shown(text)} is not a number of bytes`);
}

/** Returns the requested outputs; additional outputs are ignored. */
function checkedOutputs(found: Tensors, { outputs, rows }: InferExpectation): Tensors {
  return Object.fromEntries(
    outputs.map((spec) => {
      const tensor = Object.hasOwn(found, spec.name) ? found[spec.name] : undefined;
      if (tensor === undefined) throw wrong(`The answer has no output '${spec.name}'`);
      checkOutput(spec, tensor, rows);
      return [spec.name, tensor];
    }),
  );
}

function checkOutput(spec: TensorSpec, { type, dims }: Tensor, rows: number | undefined): void {
  if (type !== spec.type) throw wrong(`Output '${spec.name}' is ${type}, but the model gives ${spec.type}`);
  const wanted = rows === undefined ? spec.dims : [rows, ...spec.dims.slice(1)];
  const fits = dims.length === wanted.length && wanted.every((size, axis) => size === -1 || size === dims[axis]);
  if (!fits) throw wrong(`Output '${spec.name}' is ${shapeText(dims)}, expected ${shapeText(wanted)}`);
}

/** Returns external text shortened and quoted for a message. */
function shown(text: string | undefined): string {
  return text === undefined ? '(none)' : `'${text.slice(0, 40)}'`;
}

function wrong(message: string, cause?: unknown): OperatingError {
  return remoteFailure('remote-answer-invalid', message, { cause });
}
