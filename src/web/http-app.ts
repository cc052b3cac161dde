import type { FastifyError, FastifyInstance, onRequestHookHandler } from 'fastify';
import fastify from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import swagger from '@fastify/swagger';
import { readSecret } from '../platform/config-fields.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { accessCheck } from './access.ts';
import { limitArrival } from './arrival-deadline.ts';
import { isForwarded } from './forward.ts';
import type { AgentIdentity } from './health-routes.ts';
import type { HttpConfig } from './http-config.ts';
import { listenAddress } from './http-config.ts';
import { httpMetrics } from './http-metrics.ts';

/** Adds paths to an endpoint. @param adminToken Undefined where nobody may change the models. */
export type Routes = (app: FastifyInstance, adminToken: string | undefined) => void | Promise<void>;

export type HttpAppOptions = {
  readonly config: HttpConfig;
  readonly identity: AgentIdentity;
  /** Longest that a request on any path may take to arrive; `http.requestTimeout` where that is longer. */
  readonly receiveDeadlineMs: number;
  /** Comes once the access check has let a request in, before its body is read; may answer in the app's place. */
  readonly first?: onRequestHookHandler;
  readonly routes: Routes;
  readonly deps: Deps;
};

/** What every HTTP endpoint of the agent does alike: limits, who is let in, the form of errors, metrics, its own description. */
export async function httpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const { config, identity, receiveDeadlineMs, first, routes, deps } = options;
  const token = config.token === undefined ? undefined : readSecret(config.token);
  const adminToken = config.adminToken === undefined ? undefined : readSecret(config.adminToken);
  // Fastify's own limits default to none at all.
  const app = fastify({
    logger: false,
    bodyLimit: config.maxBodyBytes,
    connectionTimeout: config.requestTimeoutMs * 2,
    requestTimeout: Math.max(config.requestTimeoutMs, receiveDeadlineMs),
    http: { headersTimeout: config.requestTimeoutMs },
    keepAliveTimeout: 60_000,
    routerOptions: { maxParamLength: 200 },
  });
  app.server.maxConnections = config.maxConnections;
  // Fastify's own `forceCloseConnections` is for servers that it has made listen itself.
  app.addHook('preClose', async () => app.server.closeAllConnections());
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const { status, message } = errorAnswer(error);
    if (error.code === 'http-busy') reply.header('retry-after', '1');
    void reply.code(status).send({ error: message });
  });
  app.setNotFoundHandler((request, reply) => {
    void reply.code(404).send({ error: `There is no ${request.method} ${request.url}; see /api/v1/openapi.json` });
  });
  acceptEmptyJson(app);
  const loopback = listenAddress(config.listen)?.loopback === true;
  app.addHook('onRequest', accessCheck({ token, adminToken, loopback }));
  if (first !== undefined) app.addHook('onRequest', first);
  limitArrival(app, config.requestTimeoutMs, deps.clock);
  measure(app, deps);
  await app.register(swagger, {
    openapi: { info: { title: `andon agent ${identity.agentId}`, version: identity.version } },
    transform: jsonSchemaTransform,
  });
  await routes(app, adminToken);
  return app;
}

function measure(app: FastifyInstance, { metrics }: Deps): void {
  const durations = metrics.of(httpMetrics).andon_http_request_duration_seconds;
  app.addHook('onResponse', async (request, reply) => {
    if (isForwarded(request.raw)) return;
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

/** Codes that a caller can do nothing about by changing the request. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'alarm-unknown': 404,
  'alarm-not-acknowledgeable': 409,
  'alarm-not-shelved': 409,
  'alarm-out-of-service': 409,
  'alarm-shelving-invalid': 400,
};

function errorAnswer(error: FastifyError): { readonly status: number; readonly message: string } {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map(
      ({ instancePath, message }) => `${instancePath.slice(1) || 'body'}: ${message}`,
    );
    return { status: 400, message: problems.join('; ') };
  }
  if (error instanceof OperatingError) {
    const status = STATUS_OF_CODE[error.code] ?? (error.disposition === 'retry' ? 503 : 400);
    return { status, message: error.message };
  }
  return { status: error.statusCode ?? 500, message: errorMessage(error) };
}
