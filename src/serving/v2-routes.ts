import type { FastifyInstance, FastifyRequest, preParsingAsyncHookHandler, RouteShorthandOptions } from 'fastify';
import type { ClientInference } from '../contracts/inference.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode } from '../platform/errors.ts';
import type { GenerationConfig } from './text/generation-config.ts';
import { BodyBudget } from './v2/body-budget.ts';
import { contentCoding, decompress } from './v2/body-encoding.ts';
import { sendError } from './v2/error-answer.ts';
import { registerGenerateRoutes } from './text/generate-routes.ts';
import { inferHandler, type InferRouteOptions } from './v2/infer-route.ts';
import { registerModelRoutes } from './v2/model-routes.ts';
import { registerRepositoryRoutes } from './v2/repository-routes.ts';
import { TensorCodec } from './v2/tensor-codec.ts';
import { v2Failure } from './v2/v2-errors.ts';
import { v2Metrics } from './v2/v2-metrics.ts';

/** Requests of the largest size that may be in progress together. */
const LARGEST_BODIES_MAX = 8;

export type V2RoutesOptions = {
  readonly inference: ClientInference;
  /** URL of hosts/tensor-codec.ts. */
  readonly codecEntry: URL;
  readonly version: string;
  readonly bodyBytesMax: number;
  readonly generation: GenerationConfig;
  readonly adminToken: string | undefined;
  readonly deps: Deps;
};

/**
 * The Open Inference Protocol v2, as KServe's and Triton's clients speak it over HTTP.
 *
 * @see https://github.com/kserve/open-inference-protocol and Triton's extensions binary_tensor_data, statistics,
 *   model_configuration and model_repository.
 */
export async function registerV2Routes(root: FastifyInstance, options: V2RoutesOptions): Promise<void> {
  // A scope of its own, with bodies as bytes and errors in the form of the protocol.
  await root.register(async (app) => {
    const codec = new TensorCodec({ entry: options.codecEntry, ...options });
    app.addHook('onClose', () => codec[Symbol.asyncDispose]());
    acceptBytes(app, options);
    const refused = options.deps.metrics.of(v2Metrics).andon_http_infer_refused_total;
    app.setErrorHandler((error, { routeOptions: { bodyLimit } }, reply) => {
      const failure =
        errorCode(error) === 'FST_ERR_CTP_BODY_TOO_LARGE'
          ? v2Failure('infer-request-too-large', `The body is larger than ${formatByteSize(bodyLimit)}`)
          : error;
      refused.inc({ code: errorCode(failure) });
      return sendError(reply, failure);
    });
    registerServerRoutes(app, options);
    registerModelRoutes(app, options.inference);
    registerRepositoryRoutes(app, options);
    const preParsing = bodyReservation(options);
    registerInfer(app, { inference: options.inference, codec }, preParsing);
    registerGenerateRoutes(app, { ...options, limits: options.generation, preParsing });
  });
}

function registerServerRoutes(app: FastifyInstance, { inference, version, adminToken }: V2RoutesOptions): void {
  const extensions = ['binary_tensor_data', 'statistics', 'model_configuration', 'parameters', 'generate'];
  const metadata = {
    name: 'andon',
    version,
    extensions: adminToken === undefined ? extensions : [...extensions, 'model_repository'],
  };
  for (const path of ['/v2', '/v2/']) app.get(path, { schema: schema('Metadata of the server') }, async () => metadata);
  app.get('/v2/health/live', { schema: schema('Liveness of the server') }, async () => ({ live: true }));
  app.get('/v2/health/ready', { schema: schema('Readiness of all models') }, async (_request, reply) => {
    const ready = (await inference.models()).statuses().every(({ state }) => state === 'ready');
    return reply.code(ready ? 200 : 503).send({ ready });
  });
}

function registerInfer(
  app: FastifyInstance,
  options: InferRouteOptions,
  preParsing: RouteShorthandOptions['preParsing'],
): void {
  const route = { schema: schema('Run a model'), preParsing, handler: inferHandler(options) };
  app.post('/v2/models/:model/infer', route);
  app.post('/v2/models/:model/versions/:version/infer', route);
}

/** Reserves memory before a body is read. 'close' is emitted however the request ends. */
function bodyReservation({ bodyBytesMax, deps }: V2RoutesOptions): preParsingAsyncHookHandler {
  const budget = new BodyBudget(bodyBytesMax * LARGEST_BODIES_MAX, deps);
  return async (request, reply) => {
    reply.raw.once('close', budget.take(bytesAhead(request)));
  };
}

/** Returns the memory that a body may need: its length if known, or the limit if it is compressed or sent in chunks. */
function bytesAhead({ headers, routeOptions: { bodyLimit } }: FastifyRequest): number {
  const length =
    headers['content-encoding'] === undefined ? Number(headers['content-length'] ?? Number.NaN) : Number.NaN;
  return Number.isNaN(length) ? bodyLimit : Math.min(length, bodyLimit);
}

/** Clients send `application/json`, `application/octet-stream`, or no type at all; the bytes mean the same. */
function acceptBytes(app: FastifyInstance, { bodyBytesMax }: V2RoutesOptions): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: bodyBytesMax },
    async (request: FastifyRequest, body: Buffer) =>
      decompress(body, contentCoding(request.headers['content-encoding']), request.routeOptions.bodyLimit),
  );
}

function schema(summary: string) {
  return { summary, tags: ['Open Inference Protocol v2'] };
}
