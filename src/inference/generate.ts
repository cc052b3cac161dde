import type { InferenceHost, ServedModel, Tensor, Tensors, TensorSpec } from '../contracts/inference.ts';
import type { GraphManifest } from '../contracts/model-manifest.ts';
import { judgesWindows } from '../contracts/model-manifest.ts';
import type { ModelReference } from '../domain/model-reference.ts';
import { inferenceFailure } from './inference-failure.ts';
import { elementCount, readable, tensorData } from './tensor-check.ts';

export type GenerateOptions = {
  readonly model: ModelReference;
  /** Token ids; one at least. */
  readonly prompt: readonly number[];
  /** Tokens to write at most; the model's own `maxTokens` bounds prompt and answer together. */
  readonly tokensMax: number;
  /** 0 takes the likeliest token each time; 1 draws as the model says; more is more even. */
  readonly temperature: number;
  /** Draws among so many of the likeliest; undefined among all. */
  readonly topK?: number | undefined;
  /** Whoever asked is gone: the run under way ends, and no other begins. */
  readonly signal?: AbortSignal | undefined;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
};

export type GeneratedToken = { readonly token: number; /** From 0. */ readonly index: number };
type Generation = NonNullable<GraphManifest['generation']>;

/** Of a prompt in one request; each is a 64-bit integer in one tensor. */
const PROMPT_TOKENS_MAX = 100_000;

/**
 * Writes on from a prompt, token by token, as a visitor: each step is one run, which waits its turn behind the watches.
 * The keys and values of what was read before go back in with each step, so that a token costs one position and not
 * the whole text.
 *
 * Ends at the model's end token (which is not given), at `tokensMax`, at the model's `maxTokens`, or when the signal
 * says so. Inputs `attention_mask` and `position_ids`, which exporters like to add, are filled where the graph has them.
 *
 * @throws {OperatingError} 'model-input-invalid' where the model is no decoder or the prompt does not fit it; what
 *   `InferenceHost.run` throws.
 */
export async function* generate(
  host: Pick<InferenceHost, 'run' | 'served'>,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { model, prompt, tokensMax, signal } = options;
  const served = host.served(model);
  if (served === undefined) throw inferenceFailure('model-not-ready', `Model '${model.name}' is not ready`);
  const generation = decoderOf(served);
  checkPrompt(prompt, generation);
  const end = Math.min(tokensMax, generation.maxTokens - prompt.length);
  let cache = emptyCache(served.inputs, generation);
  let tokens = prompt;
  let read = 0;
  for (let index = 0; index < end; index += 1) {
    if (signal?.aborted === true) return;
    const inputs = { ...stepInputs(served.inputs, generation, tokens, read), ...cache };
    const { outputs } = await host.run(model, inputs, 'visitor');
    read += tokens.length;
    const token = pickToken(lastLogits(outputs, generation), options);
    if (token === generation.endToken) return;
    yield { token, index };
    cache = nextCache(cache, outputs, generation);
    tokens = [token];
  }
}

function decoderOf({ manifest }: ServedModel): Generation {
  if (!judgesWindows(manifest) && manifest.generation !== undefined) return manifest.generation;
  throw inferenceFailure(
    'model-input-invalid',
    `Model ${manifest.name}@${manifest.version} writes no text: its model.yaml has no \`generation\``,
  );
}

function checkPrompt(prompt: readonly number[], { maxTokens }: Generation): void {
  const tokensMax = Math.min(maxTokens, PROMPT_TOKENS_MAX);
  if (prompt.length === 0 || prompt.length >= tokensMax)
    throw inferenceFailure(
      'model-input-invalid',
      `A prompt has 1 to ${tokensMax - 1} tokens, this one ${prompt.length}`,
    );
  const wrong = prompt.find((token) => !Number.isSafeInteger(token) || token < 0);
  if (wrong !== undefined) throw inferenceFailure('model-input-invalid', `${wrong} is no token`);
}

/** Before anything was read: the cache's open dimensions after the first have no size. */
function emptyCache(specs: readonly TensorSpec[], { past }: Generation): Tensors {
  const empty = specs
    .filter(({ name }) => name.startsWith(past))
    .map(({ name, type, dims }): [string, Tensor] => {
      const sizes = dims.map((size, axis) => (size !== -1 ? size : axis === 0 ? 1 : 0));
      const data = tensorData(
        type,
        Array.from({ length: elementCount(sizes) }, () => 0),
      );
      return [name, { type, dims: sizes, data }];
    });
  return Object.fromEntries(empty);
}

function stepInputs(
  specs: readonly TensorSpec[],
  generation: Generation,
  tokens: readonly number[],
  read: number,
): Tensors {
  const values: Readonly<Record<string, readonly number[]>> = {
    [generation.tokens]: tokens,
    position_ids: tokens.map((_, index) => read + index),
    attention_mask: Array.from({ length: read + tokens.length }, () => 1),
  };
  return Object.fromEntries(
    specs.flatMap(({ name, type }) => {
      const own = values[name];
      return own === undefined ? [] : [[name, { type, dims: [1, own.length], data: tensorData(type, own) }]];
    }),
  );
}

/** Each cache output under the name of its input: `present.0.key` is `past_key_values.0.key`. */
function nextCache(cache: Tensors, outputs: Tensors, { past, present }: Generation): Tensors {
  return Object.fromEntries(
    Object.keys(cache).map((name) => {
      const output = `${present}${name.slice(past.length)}`;
      const tensor = outputs[output];
      if (tensor === undefined) throw inferenceFailure('model-output-invalid', `The decoder gives no '${output}'`);
      return [name, tensor];
    }),
  );
}

/** Of the last position: what may come next. */
function lastLogits(outputs: Tensors, { logits }: Generation): readonly number[] {
  const tensor = outputs[logits];
  const vocabulary = tensor?.dims.at(-1) ?? 0;
  const values = tensor === undefined ? [] : Array.from<unknown, number>(readable(tensor), Number).slice(-vocabulary);
  if (vocabulary === 0 || values.some(Number.isNaN))
    throw inferenceFailure('model-output-invalid', `'${logits}' of the decoder is missing or not a number`);
  return values;
}

function pickToken(logits: readonly number[], { temperature, topK, random }: GenerateOptions): number {
  const ranked = logits.map((logit, token) => ({ logit, token })).toSorted((a, b) => b.logit - a.logit);
  const [best] = ranked;
  if (best === undefined || temperature <= 0) return best?.token ?? 0;
  const candidates = ranked.slice(0, topK ?? ranked.length);
  // The largest is taken off first, so that no exponential overflows.
  const weights = candidates.map(({ logit }) => Math.exp((logit - best.logit) / temperature));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = candidates.find((_, index) => (left -= weights[index] ?? 0) < 0);
  return (drawn ?? best).token;
}
