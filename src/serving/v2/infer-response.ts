import type { Tensors } from '../../contracts/inference.ts';
import type { MessageParameters } from '../../protocols/open-inference/json-fields.ts';
import { type EncodedMessage, encodeMessage } from '../../protocols/open-inference/write-tensors.ts';
import type { RequestedOutput } from './infer-request.ts';

export type InferAnswer = {
  readonly model: string;
  readonly version: number;
  readonly id: string | undefined;
  readonly parameters: MessageParameters;
  /** The requested outputs, in that order. */
  readonly outputs: readonly RequestedOutput[];
  /** At least those named by `outputs`. */
  readonly tensors: Tensors;
};

/** Writes an inference response: JSON, followed by the outputs that were requested in binary form. */
export function encodeInferResponse(answer: InferAnswer): EncodedMessage {
  const outputs = answer.outputs.flatMap(({ name, binary }) => {
    const tensor = answer.tensors[name];
    return tensor === undefined ? [] : [{ name, tensor, binary }];
  });
  return encodeMessage(headJson(answer), 'outputs', outputs);
}

/** Returns the number of elements that must be written one by one: all except numbers in binary form. These take the time. */
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
