import type { ServedModel, Tensor, TensorData, Tensors, TensorSpec, TensorType } from '../../contracts/inference.ts';
import type { GraphManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { OperatingError } from '../../platform/errors.ts';
import { elementBytesOf } from '../../protocols/open-inference/datatypes.ts';
import { invalid } from './v2-errors.ts';

/** A model that writes token by token: what goes into a step of it, and what comes out. */
export type Decoder = {
  readonly served: ServedModel;
  readonly generation: NonNullable<GraphManifest['generation']>;
  /** Integer inputs that one step fills: the tokens, and `position_ids` and `attention_mask` where the graph has them. */
  readonly filled: readonly TensorSpec[];
  /** Keys and values of what was read before, empty at first; each comes out of a step longer by what it read. */
  readonly caches: readonly TensorSpec[];
  /** Tokens are below it; undefined where the graph leaves its size open. */
  readonly vocabulary: number | undefined;
};

/** Scores of all tokens, for what may come next. */
export type Logits = Float16Array | Float32Array | Float64Array;

/**
 * Looks at whether a model writes tokens. A graph that takes anything else than tokens and caches is refused, and so is
 * one without caches: it would be told only the last token, and make something of it.
 *
 * @throws {OperatingError} 'infer-request-invalid', saying what it lacks.
 */
export function decoderOf(served: ServedModel): Decoder {
  const { manifest, inputs, outputs } = served;
  const label = `Model '${manifest.name}' version ${manifest.version} writes no tokens:`;
  if (judgesWindows(manifest) || manifest.generation === undefined)
    throw invalid(`${label} its model.yaml has no 'generation'`);
  const { generation } = manifest;
  const { tokens, past, present, logits } = generation;
  const caches = inputs.filter(({ name }) => name.startsWith(past));
  const filled = inputs.filter((spec) => !caches.includes(spec));
  const scores = outputs.find(({ name }) => name === logits);
  if (!filled.some(({ name }) => name === tokens)) throw invalid(`${label} its graph has no input '${tokens}'`);
  for (const { name, type } of filled)
    if (![tokens, 'position_ids', 'attention_mask'].includes(name) || (type !== 'int64' && type !== 'int32'))
      throw invalid(`${label} input '${name}' (${type}) of its graph is neither a cache nor of token ids`);
  if (caches.length === 0) throw invalid(`${label} its graph has no cache, no input '${past}…'`);
  for (const { name, type, dims } of caches) {
    if (!isFloat(type) || !dims.slice(1).includes(-1))
      throw invalid(`${label} cache '${name}' of its graph is no float tensor of any length`);
    if (!outputs.some((output) => output.name === presentName(name, generation)))
      throw invalid(`${label} its graph has no output '${present}…' for '${name}'`);
  }
  if (scores === undefined || !isFloat(scores.type))
    throw invalid(`${label} its graph has no float output '${logits}'`);
  const vocabulary = scores.dims.at(-1);
  return { served, generation, filled, caches, vocabulary: vocabulary === -1 ? undefined : vocabulary };
}

/**
 * Bytes that the largest step takes in this process: the caches as they go in and as they come out at the end, and the
 * scores of the whole prompt, which come with the first.
 *
 * @param length Tokens of prompt and answer together, at most.
 * @param prompt Tokens of the prompt.
 */
export function stepBytesMax(decoder: Decoder, length: number, prompt: number): number {
  const { caches, served, generation, vocabulary = 0 } = decoder;
  const cacheBytes = caches.reduce((sum, { type, dims }) => {
    const sizes = dims.map((size, axis) => (size !== -1 ? size : axis === 0 ? 1 : length));
    return sum + product(sizes) * (elementBytesOf(type) ?? 0);
  }, 0);
  const scores = served.outputs.find(({ name }) => name === generation.logits);
  return 2 * cacheBytes + prompt * vocabulary * (scores === undefined ? 0 : (elementBytesOf(scores.type) ?? 0));
}

/** Before anything was read: dimensions of any size after the first, which is the batch, have none. */
export function emptyCaches({ caches }: Decoder): Tensors {
  return Object.fromEntries(
    caches.map(({ name, type, dims }): [string, Tensor] => {
      const sizes = dims.map((size, axis) => (size !== -1 ? size : axis === 0 ? 1 : 0));
      return [name, { type, dims: sizes, data: noElements(type) }];
    }),
  );
}

/** @param read How many tokens the caches hold. */
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

/** The caches that a step gave, under the names that the next one takes them by. */
export function nextCaches({ caches, generation }: Decoder, outputs: Tensors): Tensors {
  return Object.fromEntries(
    caches.map(({ name }) => {
      const output = presentName(name, generation);
      const tensor = outputs[output];
      if (tensor === undefined) throw wrongOutput(`The decoder gives no '${output}'`);
      return [name, tensor];
    }),
  );
}

/**
 * Of the last position that was read; shares the memory of the output.
 *
 * @throws {OperatingError} 'model-output-invalid' where it is missing, or too short for one position.
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
  return new OperatingError('model-output-invalid', 'reject', message);
}

/** `present.0.key` for `past_key_values.0.key`. */
function presentName(name: string, { past, present }: Decoder['generation']): string {
  return `${present}${name.slice(past.length)}`;
}

function isFloat(type: TensorType): boolean {
  return type === 'float32' || type === 'float16' || type === 'float64';
}

function noElements(type: TensorType): TensorData {
  if (type === 'float16') return new Uint16Array(0);
  return type === 'float64' ? new Float64Array(0) : new Float32Array(0);
}

function floats({ data }: Tensor): Logits | undefined {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return data instanceof Uint16Array ? new Float16Array(data.buffer, data.byteOffset, data.length) : undefined;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
