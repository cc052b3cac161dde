import type { RunResult, ClientInference } from '../../contracts/inference.ts';
import type { ModelReference } from '../../domain/model/model-reference.ts';
import { type Decoder, emptyCaches, lastLogits, nextCaches, stepInputs } from '../v2/decoder.ts';
import { type DrawOptions, drawToken } from './token-draw.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

export type GenerateOptions = DrawOptions & {
  readonly reference: ModelReference;
  readonly decoder: Decoder;
  /** Token ids; at least one, and fewer than the model's `maxTokens`. */
  readonly prompt: readonly number[];
  /** Most tokens to write; the model's own `maxTokens` bounds prompt and answer together. */
  readonly tokensMax: number;
  /** Aborted when the client has disconnected: no further step starts. A running step cannot be cancelled. */
  readonly signal: AbortSignal;
  /** The next step starts when it has resolved. */
  readonly onToken: (token: GeneratedToken) => void | Promise<void>;
};

type GeneratedToken = { readonly token: number; /** From 0. */ readonly index: number };

/** Reason for the end of a text; the end token itself is not returned. */
export type FinishReason = 'end_token' | 'max_tokens' | 'model_limit' | 'cancelled';

/**
 * Continues a prompt token by token. Each step is one run of a client, behind the runs of the watches. The caches of keys and
 * values are passed to each step, so a token costs one position and not the whole text.
 *
 * @throws {OperatingError} 'model-output-invalid'; 'model-not-ready' if another version was activated, to which the caches are
 *   meaningless; the errors of `ClientInference.run`.
 */
export async function generate(host: Pick<ClientInference, 'run'>, options: GenerateOptions): Promise<FinishReason> {
  const { reference, decoder, prompt, tokensMax, signal, onToken } = options;
  const { endToken, maxTokens } = decoder.generation;
  const room = maxTokens - prompt.length;
  let caches = emptyCaches(decoder);
  let tokens = prompt;
  let read = 0;
  for (let index = 0; index < Math.min(tokensMax, room); index += 1) {
    if (signal.aborted) return 'cancelled';
    const result = await host.run(reference, { ...stepInputs(decoder, tokens, read), ...caches });
    checkVersion(decoder, result);
    const token = drawToken(lastLogits(decoder, result.outputs), options);
    if (token === endToken) return 'end_token';
    await onToken({ token, index });
    read += tokens.length;
    caches = nextCaches(decoder, result.outputs);
    tokens = [token];
  }
  return tokensMax <= room ? 'max_tokens' : 'model_limit';
}

function checkVersion({ served }: Decoder, { manifest }: RunResult): void {
  const { name, version, sha256 } = served.manifest;
  if (manifest.version === version && manifest.sha256 === sha256) return;
  const text = `Version ${manifest.version} of model '${name}' replaced version ${version} during the generation; start again`;
  throw inferenceFailure('model-not-ready', text);
}
