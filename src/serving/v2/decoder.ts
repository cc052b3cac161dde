import type { ServedModel, Tensor, Tensors, TensorSpec, TensorType } from '../../contracts/inference.ts';
import type { GraphManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { OperatingError } from '../../platform/errors.ts';
import { elementBytesOf, numbersOver, readable } from '../../contracts/tensor-data.ts';
import { elementCount } from '../../contracts/tensor-shape.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

/** A model that writes text token by token, with the inputs and outputs of one step. */
export type Decoder = {
  readonly served: ServedModel;
  readonly generation: NonNullable<GraphManifest['generation']>;
  /** Integer inputs of a step: the tokens, and `position_ids` and `attention_mask` if the graph has them. */
  readonly filled: readonly TensorSpec[];
  /** Caches of the keys and values of earlier tokens, empty at first. A step returns each longer by the tokens that it read. */
  readonly caches: readonly TensorSpec[];
  /** Number of tokens; undefined if the graph leaves the size open. */
  readonly vocabulary: number | undefined;
};

/** Scores of all tokens for the next position. */
export type Logits = Float16Array | Float32Array | Float64Array;

/**
 * Checks that a model writes tokens. A graph with inputs other than tokens and caches is refused. So is a graph without
 * caches: it would get only the last token of the text.
 *
 * @throws {OperatingError} 'infer-request-invalid' with what is missing.
 */
export function decoderOf(served: ServedModel): Decoder {
  const { manifest, inputs, outputs } = served;
  const label = `Model '${manifest.name}' version ${manifest.version} cannot generate text:`;
  if (judgesWindows(manifest) || manifest.generation === undefined)
    throw malformed(`${label} its model.yaml has no 'generation'`);
  const { generation } = manifest;
  const { tokens, past, present, logits } = generation;
  const caches = inputs.filter(({ name }) => name.startsWith(past));
  const filled = inputs.filter((spec) => !caches.includes(spec));
  const scores = outputs.find(({ name }) => name === logits);
  if (!filled.some(({ name }) => name === tokens)) throw malformed(`${label} its graph has no input '${tokens}'`);
  for (const { name, type } of filled)
    if (![tokens, 'position_ids', 'attention_mask'].includes(name) || (type !== 'int64' && type !== 'int32'))
      throw malformed(`${label} input '${name}' (${type}) of its graph is neither a cache nor of token ids`);
  if (caches.length === 0) throw malformed(`${label} its graph has no cache, no input '${past}…'`);
  for (const { name, type, dims } of caches) {
    if (!isFloat(type) || !dims.slice(1).includes(-1))
      throw malformed(`${label} cache '${name}' of its graph is not a float tensor of open length`);
    if (!outputs.some((output) => output.name === presentName(name, generation)))
      throw malformed(`${label} its graph has no output '${present}…' for '${name}'`);
  }
  if (scores === undefined || !isFloat(scores.type))
    throw malformed(`${label} its graph has no float output '${logits}'`);
  const vocabulary = scores.dims.at(-1);
  return { served, generation, filled, caches, vocabulary: vocabulary === -1 ? undefined : vocabulary };
}

/**
 * Returns the bytes that the largest step uses in this process: the caches before and after it, and the scores of the whole
 * prompt, which the first step returns.
 *
 * @param length Most tokens of prompt and answer together.
 * @param prompt Tokens of the prompt.
 */
export function stepBytesMax(decoder: Decoder, length: number, prompt: number): number {
  const { caches, served, generation, vocabulary = 0 } = decoder;
  const cacheBytes = caches.reduce((sum, { type, dims }) => {
    return sum + elementCount(sizesWith(dims, length)) * (elementBytesOf(type) ?? 0);
  }, 0);
  const scores = served.outputs.find(({ name }) => name === generation.logits);
  return 2 * cacheBytes + prompt * vocabulary * (scores === undefined ? 0 : (elementBytesOf(scores.type) ?? 0));
}

/** Returns the caches before the first step: open dimensions after the first (the batch) have size 0. */
export function emptyCaches({ caches }: Decoder): Tensors {
  return Object.fromEntries(
    caches.map(({ name, type, dims }): [string, Tensor] => {
      return [
        name,
        { type, dims: sizesWith(dims, 0), data: type === 'string' ? [] : numbersOver(type, new ArrayBuffer(0)) },
      ];
    }),
  );
}

/** @param read Number of tokens in the caches. */
export function stepInputs({ filled, generation }: Decoder, tokens: readonly number[], read: number): Tensors {
  const values: Readonly<Record<string, readonly number[]>> = {
    position_ids: tokens.map((_, index) => read + index),
    attention_mask: Array.from({ length: read + tokens.length }, () => 1),
    [generation.tokens]: tokens,
  };
  return Object.fromEntries(
    filled.map(({ name, type }): [string, Tensor] => {
      const own = values[name] ?? [];
      const data = type === 'int32' ? Int32Array.from(own) : BigInt64Array.from(own, BigInt);
      return [name, { type, dims: [1, own.length], data }];
    }),
  );
}

/** Returns the caches that a step returned, under the input names of the next step. */
export function nextCaches({ caches, generation }: Decoder, outputs: Tensors): Tensors {
  return Object.fromEntries(
    caches.map(({ name }) => {
      const output = presentName(name, generation);
      const tensor = outputs[output];
      if (tensor === undefined) throw wrongOutput(`The decoder did not return '${output}'`);
      return [name, tensor];
    }),
  );
}

/**
 * Returns the scores for the last position; shares the memory of the output.
 *
 * @throws {OperatingError} 'model-output-invalid' if they are missing, or too short for one position.
 */
export function lastLogits({ generation }: Decoder, outputs: Tensors): Logits {
  const tensor = outputs[generation.logits];
  const size = tensor?.dims.at(-1) ?? 0;
  const values = tensor === undefined ? undefined : floats(tensor);
  if (values === undefined || size === 0 || values.length < size)
    throw wrongOutput(`'${generation.logits}' of the decoder is missing or has no scores`);
  return values.subarray(values.length - size);
}

export function wrongOutput(message: string): OperatingError {
  return inferenceFailure('model-output-invalid', message);
}

/** Returns the shape of a cache for one text of this length. */
function sizesWith(dims: readonly number[], length: number): readonly number[] {
  return dims.map((size, axis) => (size !== -1 ? size : axis === 0 ? 1 : length));
}

/** `present.0.key` for `past_key_values.0.key`. */
function presentName(name: string, { past, present }: Decoder['generation']): string {
  return `${present}${name.slice(past.length)}`;
}

function isFloat(type: TensorType): boolean {
  return type === 'float32' || type === 'float16' || type === 'float64';
}

function floats(tensor: Tensor): Logits | undefined {
  const data = readable(tensor);
  return data instanceof Float32Array || data instanceof Float64Array || data instanceof Float16Array
    ? data
    : undefined;
}
