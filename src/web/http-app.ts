import swagger from '@fastify/swagger';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import { readSecret } from '../platform/config-fields.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import { accessCheck } from './access.ts';
import { limitArrival } from './arrival-deadline.ts';
import type { EndpointConfig } from './endpoint-config.ts';
import { httpStatus } from './http-errors.ts';
import { httpMetrics } from './http-metrics.ts';
import { listenAddress } from './listen-address.ts';

/** Adds paths to an endpoint. @param adminToken Undefined if models cannot be managed over HTTP. */
type Routes = (app: FastifyInstance, adminToken: string | undefined) => void | Promise<void>;

export type HttpAppOptions = {
  readonly config: EndpointConfig;
  /** Title and version of the OpenAPI description, which is at `descriptionPath`. */
  readonly title: string;
  readonly version: string;
  readonly descriptionPath: string;
  /** Largest body of a request, if its route has no limit of its own. */
  readonly bodyBytesMax: number;
  /** Longest time that a request on any path may take to arrive; `requestTimeout` if that is longer. */
  readonly receiveDeadlineMs: number;
  readonly openPaths: ReadonlySet<string>;
  /** HTTP status by error code, if it is not 503 for errors that pass and 400 for the others. */
  readonly statusOfCode: Readonly<Record<string, number>>;
  readonly routes: Routes;
  readonly deps: Deps;
};

/** Builds what all HTTP endpoints have in common: limits, access, the form of errors, metrics and the OpenAPI description. */
export async function httpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const { config, descriptionPath, routes, deps } = options;
  const token = config.token === undefined ? undefined : readSecret(config.token);
  const adminToken = config.adminToken === undefined ? undefined : readSecret(config.adminToken);
  // Fastify's own limits default to none at all.
  const app = fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax,
    connectionTimeout: config.requestTimeoutMs * 2,
    requestTimeout: Math.max(config.requestTimeoutMs, options.receiveDeadlineMs),
    http: { headersTimeout: config.requestTimeoutMs },
    keepAliveTimeout: 60_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
  });
  app.server.maxConnections = config.maxConnections;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    if (error.code === 'http-busy') reply.header('retry-after', '1');
    void reply.code(httpStatus(error, options.statusOfCode)).send({ error: errorText(error) });
  });
  app.setNotFoundHandler((request, reply) => {
    void reply.code(404).send({ error: `There is no ${request.method} ${request.url}; see ${descriptionPath}` });
  });
  acceptEmptyJson(app);
  const loopback = listenAddress(config.listen)?.loopback === true;
  app.addHook('onRequest', accessCheck({ token, adminToken, loopback, openPaths: options.openPaths }));
  limitArrival(app, config.requestTimeoutMs, deps.clock);
  measure(app, deps);
  await app.register(swagger, {
    openapi: { info: { title: options.title, version: options.version } },
    transform: jsonSchemaTransform,
  });
  app.get(descriptionPath, { schema: { hide: true } }, () => app.swagger());
  await routes(app, adminToken);
  return app;
}

function measure(app: FastifyInstance, { metrics }: Deps): void {
  const durations = metrics.of(httpMetrics).andon_http_request_duration_seconds;
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    durations.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
}

/** An acknowledgement needs no body; `curl -X POST -H 'content-type: application/json'` sends an empty one. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, {});
    else void parse(request, body.toString(), done);
  });
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST') request.body ??= {};
  });
}

function errorText(error: FastifyError): string {
  if (!hasZodFastifySchemaValidationErrors(error)) return errorMessage(error);
  return error.validation
    .map(({ instancePath, message }) => `${instancePath.slice(1) || 'body'}: ${message}`)
    .join('; ');
}
