import type { Tensor } from '../../contracts/inference.ts';
import { encodeBinary } from './binary-tensor.ts';
import { datatypeOf } from './datatypes.ts';
import { encodeJson } from './json-tensor.ts';

export type NamedTensor = {
  readonly name: string;
  readonly tensor: Tensor;
  /** True for the binary form. */
  readonly binary: boolean;
};

export type EncodedMessage = {
  /** Text if the whole body is JSON: Node writes text in one piece with the head. */
  readonly body: Uint8Array | string;
  /** Bytes of the JSON at the front; undefined if the whole body is JSON. */
  readonly headerLength: number | undefined;
};

/**
 * Writes a message: JSON, followed by the tensors in binary form.
 *
 * @param head The message's JSON object without its tensors, and without its closing brace.
 * @param tail Text after the tensors in the JSON: '' or `,"key":value`.
 */
export function encodeMessage(
  head: string,
  list: 'inputs' | 'outputs',
  tensors: readonly NamedTensor[],
  tail = '',
): EncodedMessage {
  const binary: Uint8Array[] = [];
  const parts = tensors.map(({ name, tensor, binary: isBinary }) => {
    if (!isBinary) return tensorJson(name, tensor, `"data":${encodeJson(tensor)}`);
    const bytes = encodeBinary(tensor);
    binary.push(bytes);
    return tensorJson(name, tensor, `"parameters":{"binary_data_size":${bytes.length}}`);
  });
  const text = `${head},"${list}":[${parts.join(',')}]${tail}}`;
  if (binary.length === 0) return { body: text, headerLength: undefined };
  const header = Buffer.from(text);
  return { body: Buffer.concat([header, ...binary]), headerLength: header.length };
}

function tensorJson(name: string, { type, dims }: Tensor, content: string): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${datatypeOf(type)}","shape":[${dims.join(',')}],${content}}`;
}
