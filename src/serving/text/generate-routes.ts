import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import * as z from 'zod';
import type { ClientInference } from '../../contracts/inference.ts';
import { SeededDraws } from '../../domain/seeded-draws.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { errorJson } from '../../web/http-errors.ts';
import type { GenerationConfig } from './generation-config.ts';
import { decoderOf, stepBytesMax } from '../v2/decoder.ts';
import { EventChannel } from './event-channel.ts';
import { type FinishReason, generate, type GenerateOptions } from './generate.ts';
import {
  bodyError,
  checkPrompt,
  GENERATE_BODY_BYTES_MAX,
  type GenerateBody,
  generateBody,
  readBody,
} from './generate-request.ts';
import { generationPlaces } from './generation-places.ts';
import { findModel } from '../v2/model-lookup.ts';
import { MODEL_PATHS, type ModelParams } from '../v2/model-routes.ts';
import { operation } from '../v2/operation.ts';
import { v2Metrics } from '../v2/v2-metrics.ts';

export type GenerateRoutesOptions = {
  readonly inference: Pick<ClientInference, 'served' | 'models' | 'run'>;
  readonly limits: GenerationConfig;
  /** Bounds the memory of bodies before they are read. */
  readonly preParsing: RouteShorthandOptions['preParsing'];
  readonly bodyBytesMax: number;
  readonly deps: Deps;
};

/** A generation that has its place. */
type Begun = {
  /** First fields of each answer. */
  readonly head: { readonly id?: string; readonly model_name: string; readonly model_version: string };
  readonly signal: AbortSignal;
  readonly generate: (onToken: GenerateOptions['onToken']) => Promise<FinishReason>;
  /** Releases the place and restores the idle limit of the connection. */
  readonly release: () => void;
};

const headJson = z.object({ id: z.string().optional(), model_name: z.string(), model_version: z.string() });
const finishReason = z
  .enum(['end_token', 'max_tokens', 'model_limit'])
  .describe("The model's end token, `max_tokens`, or the model's own limit for prompt and answer together");
const answerJson = headJson.extend({ output_ids: z.array(z.int()), finish_reason: finishReason });
const errors = { 400: errorJson, 404: errorJson, 413: errorJson, 503: errorJson };

/**
 * Text generation as in Triton's generate extension, with token ids instead of text:
 * `POST /v2/models/<name>[/versions/<version>]/generate`, one answer, and `…/generate_stream`, one event for each token.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
 */
export function registerGenerateRoutes(app: FastifyInstance, options: GenerateRoutesOptions): void {
  const generations = new Generations(options);
  const body = generateBody(options.limits.maxTokens);
  const common = {
    config: { permission: 'infer' as const },
    bodyLimit: Math.min(GENERATE_BODY_BYTES_MAX, options.bodyBytesMax),
    preParsing: options.preParsing,
    preValidation: async (request: FastifyRequest) => void (request.body = readBody(request.body)),
    schemaErrorFormatter: bodyError,
  };
  const route = (summary: string, answer: object, description = '') => ({
    ...common,
    schema: { ...operation(summary), description, body, response: { 200: answer, ...errors } },
  });
  const whole = route('Continue a prompt of token ids', answerJson);
  const streamed = route(
    'Continue a prompt of token ids, with one event for each token',
    { content: { 'text/event-stream': { schema: z.string() } } },
    'Each event is JSON after `data:`: `model_name`, `model_version`, `token` and `index` for a token; the last event has `finish_reason` and `token_count`, or with `error`.',
  );
  for (const path of MODEL_PATHS) {
    app.post(`${path}/generate`, whole, (request, reply) => generations.answer(request, reply));
    app.post(`${path}/generate_stream`, streamed, (request, reply) => generations.stream(request, reply));
  }
}

class Generations {
  readonly #options: GenerateRoutesOptions;
  readonly #takePlace: (bytes: number) => () => void;
  readonly #metrics;

  constructor(options: GenerateRoutesOptions) {
    this.#options = options;
    this.#takePlace = generationPlaces(options.limits, options.deps);
    this.#metrics = options.deps.metrics.of(v2Metrics);
  }

  async answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const begun = await this.#begin(request, reply);
    const tokens: number[] = [];
    try {
      const reason = await begun.generate(({ token }) => void tokens.push(token));
      this.#count(reason);
      if (reason === 'cancelled') return reply.hijack();
      return reply.send({ ...begun.head, output_ids: tokens, finish_reason: reason });
    } catch (error) {
      this.#count(errorCode(error));
      throw error;
    } finally {
      begun.release();
    }
  }

  async stream(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const begun = await this.#begin(request, reply);
    const { head } = begun;
    const events = new EventChannel(reply, begun.signal, this.#options.deps.clock);
    let count = 0;
    try {
      const reason = await begun.generate(({ token, index }) => {
        count += 1;
        return events.send({ ...head, token, index });
      });
      this.#count(events.stalled ? 'stalled' : reason);
      if (reason === 'cancelled') return reply.hijack();
      events.end({ ...head, finish_reason: reason, token_count: count });
    } catch (error) {
      this.#count(errorCode(error));
      // Before the first token an error has its usual status.
      if (!events.isOpen) throw error;
      this.#metrics.andon_http_infer_refused_total.inc({ code: errorCode(error) });
      events.end({ ...head, error: errorMessage(error) });
    } finally {
      begun.release();
    }
    return reply;
  }

  /** @throws {OperatingError} 'model-unknown' | 'model-not-ready' | 'infer-request-invalid' | 'generate-busy' */
  async #begin(request: FastifyRequest, reply: FastifyReply): Promise<Begun> {
    const { inference, deps } = this.#options;
    const { model: name, version } = request.params as ModelParams;
    // The route's schema has validated it.
    const { id, input_ids: prompt, parameters } = request.body as GenerateBody;
    const { reference, served } = await findModel(inference, name, version);
    const decoder = decoderOf(served);
    checkPrompt(decoder, prompt);
    const length = Math.min(prompt.length + parameters.max_tokens, decoder.generation.maxTokens);
    const release = this.#takePlace(stepBytesMax(decoder, length, prompt.length));
    const signal = goneSignal(request, reply);
    const draws = parameters.seed === undefined ? undefined : new SeededDraws(parameters.seed);
    const options = {
      reference,
      decoder,
      prompt,
      tokensMax: parameters.max_tokens,
      temperature: parameters.temperature,
      topK: parameters.top_k,
      random: draws === undefined ? deps.random : () => draws.uniform(),
      signal,
    };
    return {
      head: { ...(id === undefined ? {} : { id }), model_name: name, model_version: String(served.judgedBy.version) },
      signal,
      generate: (onToken) =>
        generate(inference, {
          ...options,
          onToken: (token) => {
            this.#metrics.andon_http_generated_tokens_total.inc({ model: served.manifest.name });
            return onToken(token);
          },
        }),
      release: () => {
        release();
        // The rest is sent under the usual limit.
        request.raw.socket.setTimeout(request.server.server.timeout);
      },
    };
  }

  #count(outcome: string): void {
    this.#metrics.andon_http_generations_total.inc({ outcome });
  }
}

/**
 * Returns a signal that is aborted when the client has disconnected. Until then the connection has no idle limit: each step has
 * its deadline, and the stream has a limit for a client that does not read.
 */
function goneSignal({ raw: { socket } }: FastifyRequest, { raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  socket.setTimeout(0);
  raw.once('close', () => gone.abort());
  if (raw.destroyed) gone.abort();
  return gone.signal;
}
