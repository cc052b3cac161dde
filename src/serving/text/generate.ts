import type { RunResult, ClientInference } from '../../contracts/inference.ts';
import type { ModelReference } from '../../domain/model/model-reference.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { Decoder } from '../v2/decoder.ts';
import { emptyCaches, lastLogits, nextCaches, stepInputs } from '../v2/decoder.ts';
import type { DrawOptions } from './token-draw.ts';
import { drawToken } from './token-draw.ts';

export type GenerateOptions = DrawOptions & {
  readonly reference: ModelReference;
  readonly decoder: Decoder;
  /** Token ids; one at least, and fewer than the model's `maxTokens`. */
  readonly prompt: readonly number[];
  /** Tokens to write at most; the model's own `maxTokens` bounds prompt and answer together. */
  readonly tokensMax: number;
  /** Whoever asked is gone: no other step begins. The one under way cannot be called back. */
  readonly signal: AbortSignal;
  /** The next step begins once it has resolved. */
  readonly onToken: (token: GeneratedToken) => void | Promise<void>;
};

export type GeneratedToken = { readonly token: number; /** From 0. */ readonly index: number };

/** Why an answer ended; the end token itself is not given. */
export type FinishReason = 'end_token' | 'max_tokens' | 'model_limit' | 'cancelled';

/**
 * Writes on from a prompt, token by token, as a client: each step is one run, which waits its turn behind the watches
 * and among the other clients. The keys and values of what was read go back in with each step, so that a token costs
 * one position and not the whole text.
 *
 * @throws {OperatingError} 'model-output-invalid'; 'model-not-ready' where another version took over: the caches mean
 *   nothing to it; what `ClientInference.run` throws.
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
    const result = await host.run(reference, { ...stepInputs(decoder, tokens, read), ...caches }, 'client');
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
  const text = `Version ${manifest.version} of model '${name}' took over from ${version} meanwhile; begin anew`;
  throw new OperatingError('model-not-ready', 'retry', text);
}
