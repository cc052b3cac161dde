import { decodeBinary, encodeBinary } from '../../protocols/open-inference/binary-tensor.ts';
import { datatypeOf } from '../../protocols/open-inference/datatypes.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';
import { readTensorList } from '../../protocols/open-inference/read-tensors.ts';
import { errorMessage } from '../../platform/errors.ts';
import { checkParameters, type ModelRequest, outputsOf } from '../v2/infer-request.ts';
import type { InferAnswer } from '../v2/infer-response.ts';
import { methodOf } from './inference-service.ts';
import { type Long, type ParameterMessages, readParameters, writeParameters } from './parameters.ts';
import { hasElements, hasTypedContents, readContents, type TensorContents, writeContents } from './typed-contents.ts';

type InferMessage = {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ParameterMessages;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly Long[];
    readonly parameters: ParameterMessages;
    readonly contents: TensorContents | null;
  }[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ParameterMessages }[];
  readonly raw_input_contents: readonly Uint8Array[];
};

const method = methodOf('ModelInfer');

/**
 * Reads a `ModelInferRequest`. The result shares no memory with the message.
 *
 * @throws {OperatingError} 'infer-request-invalid' | 'infer-request-unsupported', with the position in the request.
 */
export function readInferRequest(bytes: Uint8Array): ModelRequest {
  const { inputs, outputs, raw_input_contents: raw, ...message } = parse(bytes);
  const parameters = readParameters(message.parameters);
  checkParameters(parameters);
  if (raw.length > 0 && raw.length !== inputs.length)
    throw malformed(`The request has ${inputs.length} inputs, but ${raw.length} raw_input_contents`);
  const heads = inputs.map((input) => ({
    name: input.name,
    datatype: input.datatype,
    shape: input.shape.map((size) => size.toNumber()),
    parameters: readParameters(input.parameters),
  }));
  const isRaw = raw.length > 0 || inputs.length === 0;
  return {
    model: message.model_name,
    version: message.model_version === '' ? undefined : message.model_version,
    id: message.id === '' ? undefined : message.id,
    parameters,
    inputs: readTensorList(heads, (index, type, count, what) => {
      const contents = inputs[index]?.contents ?? null;
      if (!isRaw) return readContents(contents, type, count, what);
      // MLServer's client sends empty contents with raw ones.
      if (hasElements(contents)) throw malformed(`${what} has both contents and raw_input_contents`);
      return decodeBinary(type, count, raw[index] ?? new Uint8Array(), what);
    }),
    outputs: outputsOf(
      outputs.map((output) => ({ name: output.name, parameters: readParameters(output.parameters) })),
      isRaw,
    ),
    binaryOutput: isRaw,
  };
}

/** Writes a `ModelInferResponse`: raw contents if the request had raw ones or an output has no typed form. */
export function writeInferResponse(answer: InferAnswer): Uint8Array {
  return method.responseSerialize(inferResponse(answer));
}

/** Returns the object of a `ModelInferResponse`. */
export function inferResponse({ model, version, id, parameters, outputs, tensors }: InferAnswer): object {
  const named = outputs.flatMap(({ name, binary }) => {
    const tensor = tensors[name];
    return tensor === undefined ? [] : [{ name, tensor, binary }];
  });
  const isRaw = named.some(({ tensor, binary }) => binary || !hasTypedContents(tensor.type));
  return {
    model_name: model,
    model_version: String(version),
    id: id ?? '',
    parameters: writeParameters(parameters),
    outputs: named.map(({ name, tensor }) => ({
      name,
      datatype: datatypeOf(tensor.type),
      shape: tensor.dims,
      ...(isRaw ? {} : { contents: writeContents(tensor) }),
    })),
    raw_output_contents: isRaw ? named.map(({ tensor }) => encodeBinary(tensor)) : [],
  };
}

function parse(bytes: Uint8Array): InferMessage {
  try {
    return method.requestDeserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as InferMessage;
  } catch (error) {
    throw malformed(`The request is not a ModelInferRequest: ${errorMessage(error)}`);
  }
}
