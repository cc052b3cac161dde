import type { Tensor, Tensors } from '../../contracts/inference.ts';
import { encodeBinary } from './binary-tensor.ts';
import { datatypeOf } from './datatypes.ts';
import type { InferParameters, RequestedOutput } from './infer-request.ts';
import { encodeJson } from './json-tensor.ts';

export type InferAnswer = {
  readonly model: string;
  readonly version: number;
  readonly id: string | undefined;
  readonly parameters: InferParameters;
  /** Those that were asked for, in that order. */
  readonly outputs: readonly RequestedOutput[];
  /** At least those named by `outputs`. */
  readonly tensors: Tensors;
};

export type EncodedAnswer = {
  /** As text where all of it is: Node writes that in one piece with the head. */
  readonly body: Uint8Array | string;
  /** Bytes of the JSON at the front; undefined where all of the body is JSON. */
  readonly headerLength: number | undefined;
};

/** Writes an inference response: JSON, followed by the outputs that were asked for in their binary form. */
export function encodeInferResponse(answer: InferAnswer): EncodedAnswer {
  const binary: Uint8Array[] = [];
  const outputs = answer.outputs.flatMap((output) => {
    const tensor = answer.tensors[output.name];
    if (tensor === undefined) return [];
    if (!output.binary) return [outputJson(output.name, tensor, `"data":${encodeJson(tensor)}`)];
    const bytes = encodeBinary(tensor);
    binary.push(bytes);
    return [outputJson(output.name, tensor, `"parameters":{"binary_data_size":${bytes.length}}`)];
  });
  const text = `${headJson(answer)},"outputs":[${outputs.join(',')}]}`;
  if (binary.length === 0) return { body: text, headerLength: undefined };
  const header = Buffer.from(text);
  return { body: Buffer.concat([header, ...binary]), headerLength: header.length };
}

/** Elements that would have to be written one by one, which is what takes time: all but numbers in their binary form. */
export function textElements(outputs: readonly RequestedOutput[], tensors: Tensors): number {
  return outputs.reduce((sum, { name, binary }) => {
    const tensor = tensors[name];
    return tensor === undefined || (binary && tensor.type !== 'string') ? sum : sum + tensor.data.length;
  }, 0);
}

function headJson({ model, version, id, parameters }: InferAnswer): string {
  const echoed = {
    ...(id === undefined ? {} : { id }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
  return JSON.stringify({ model_name: model, model_version: String(version), ...echoed }).slice(0, -1);
}

function outputJson(name: string, { type, dims }: Tensor, content: string): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${datatypeOf(type)}","shape":[${dims.join(',')}],${content}}`;
}
