import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ClientInference } from '../contracts/inference.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode } from '../platform/errors.ts';
import type { AccessControl } from '../web/access/access-control.ts';
import { HttpServer } from '../web/http-server.ts';
import type { ModelServerSettings } from './model-server-settings.ts';
import { registerGenerateRoutes } from './text/generate-routes.ts';
import { contentCoding, decompress } from './v2/body-encoding.ts';
import { sendError } from './v2/error-answer.ts';
import { inferHandler } from './v2/infer-route.ts';
import { MODEL_PATHS, registerModelRoutes } from './v2/model-routes.ts';
import { operation } from './v2/operation.ts';
import { isReady, serverMetadata } from './v2/server-metadata.ts';
import { registerRepositoryRoutes } from './v2/repository-routes.ts';
import type { RequestResources } from './v2/request-resources.ts';
import { v2Failure } from './v2/v2-errors.ts';
import { v2Metrics } from './v2/v2-metrics.ts';

export type ServingEndpointOptions = {
  readonly settings: Pick<ModelServerSettings, 'agentId' | 'version' | 'serving' | 'localToken'>;
  readonly models: ClientInference;
  readonly resources: RequestResources;
  readonly onListening?: (url: string) => void;
  readonly deps: Deps;
};

/** The model server's HTTP endpoint. */
export function servingEndpoint(options: ServingEndpointOptions): HttpServer {
  const { settings, onListening, deps } = options;
  const { agentId, version, serving } = settings;
  return new HttpServer({
    component: 'serving/http',
    config: serving,
    localToken: settings.localToken,
    title: `andon model server of ${agentId}`,
    version,
    descriptionPath: '/openapi.json',
    bodyBytesMax: serving.maxBodyBytes,
    statusOfCode: {},
    routes: (root, access) => registerV2Routes(root, options, access),
    ...(onListening === undefined ? {} : { onListening }),
    deps,
  });
}

/**
 * The Open Inference Protocol v2, as KServe's and Triton's clients speak it over HTTP.
 *
 * @see https://github.com/kserve/open-inference-protocol and Triton's extensions binary_tensor_data, statistics,
 *   model_configuration and model_repository.
 */
async function registerV2Routes(
  root: FastifyInstance,
  { settings, models: inference, resources: { codec, takeMemory }, deps }: ServingEndpointOptions,
  access: AccessControl,
): Promise<void> {
  const { version, serving } = settings;
  const bodyBytesMax = serving.maxBodyBytes;
  const { andon_http_infer_refused_total: refused } = deps.metrics.of(v2Metrics);
  // A scope of its own, with bodies as bytes and errors in the form of the protocol.
  await root.register(async (app) => {
    acceptBytes(app, bodyBytesMax);
    // Nothing is sent while a request waits for a run or a load. These have deadlines of their own.
    app.addHook('preHandler', async ({ raw }) => void raw.socket.setTimeout(0));
    app.addHook('onSend', async ({ raw, server }) => void raw.socket.setTimeout(server.server.timeout));
    app.setErrorHandler((error, { routeOptions: { bodyLimit } }, reply) => {
      const failure =
        errorCode(error) === 'FST_ERR_CTP_BODY_TOO_LARGE'
          ? v2Failure('infer-request-too-large', `The body is larger than ${formatByteSize(bodyLimit)}`)
          : error;
      refused.inc({ code: errorCode(failure) });
      return sendError(reply, failure);
    });
    registerServerRoutes(app, inference, { version, strictReadiness: serving.strictReadiness, access });
    registerModelRoutes(app, inference);
    registerRepositoryRoutes(app, inference);
    // Reserves memory before a body is read. 'close' is emitted however the request ends.
    const preParsing = async (request: FastifyRequest, reply: FastifyReply) => {
      reply.raw.once('close', takeMemory(bytesAhead(request)));
    };
    const infer = {
      config: { permission: 'infer' as const },
      schema: operation('Run a model'),
      preParsing,
      handler: inferHandler({ inference, codec }),
    };
    for (const path of MODEL_PATHS) app.post(`${path}/infer`, infer);
    registerGenerateRoutes(app, { inference, limits: serving.generation, preParsing, bodyBytesMax, deps });
  });
}

function registerServerRoutes(
  app: FastifyInstance,
  inference: ClientInference,
  {
    version,
    strictReadiness,
    access,
  }: { readonly version: string; readonly strictReadiness: boolean; readonly access: AccessControl },
): void {
  const metadata = () => serverMetadata(version, ['generate'], access);
  for (const path of ['/v2', '/v2/']) app.get(path, { schema: operation('Metadata of the server') }, metadata);
  // Load balancers and supervisors check health without a secret.
  const config = { permission: 'open' } as const;
  app.get('/v2/health/live', { config, schema: operation('Liveness of the server') }, async () => ({ live: true }));
  app.get('/v2/health/ready', { config, schema: operation('Readiness of all models') }, async (_request, reply) => {
    const ready = isReady(await inference.models(), strictReadiness);
    return reply.code(ready ? 200 : 503).send({ ready });
  });
}

/** Returns the memory that a body may need: its length if known, or the limit if it is compressed or sent in chunks. */
function bytesAhead({ headers, routeOptions: { bodyLimit } }: FastifyRequest): number {
  const length = headers['content-encoding'] === undefined ? headers['content-length'] : undefined;
  return length === undefined ? bodyLimit : Math.min(Number(length), bodyLimit);
}

/** Clients send `application/json`, `application/octet-stream`, or no type at all; the bytes mean the same. */
function acceptBytes(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, async (request: FastifyRequest, body: Buffer) =>
    decompress(body, contentCoding(request.headers['content-encoding']), request.routeOptions.bodyLimit),
  );
}
