import type { OutgoingHttpHeaders } from 'node:http';
import type { SecureContextOptions } from 'node:tls';
import swagger from '@fastify/swagger';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, invariant } from '../platform/errors.ts';
import type { AccessControl } from './access/access-control.ts';
import { accessStatuses } from './access/access-errors.ts';
import { readCookies } from './access/login-routes.ts';
import { limitArrival } from './arrival-deadline.ts';
import { ConnectionFront } from './connection-front.ts';
import type { EndpointConfig } from './endpoint-config.ts';
import { errorJson, httpStatus } from './http-errors.ts';
import { httpMetrics } from './http-metrics.ts';
import { clientErrorAnswer, securityHeaders } from './security-headers.ts';

/** Adds paths to an endpoint. Each route that is not a GET states its permission. */
type Routes = (app: FastifyInstance, access: AccessControl) => void | Promise<void>;

export type HttpAppOptions = {
  readonly config: EndpointConfig;
  /** Title and version of the OpenAPI description, which is at `descriptionPath`. */
  readonly title: string;
  readonly version: string;
  readonly descriptionPath: string;
  /** Largest body of a request, if its route has no limit of its own. */
  readonly bodyBytesMax: number;
  readonly access: AccessControl;
  /** Options of the TLS server; undefined for clear text. */
  readonly tls: SecureContextOptions | undefined;
  /** HTTP status by error code, if it is not 503 for errors that pass and 400 for the others. */
  readonly statusOfCode: Readonly<Record<string, number>>;
  readonly routes: Routes;
  readonly deps: Deps;
};

/** Time that a connection without a request stays open after an answer. */
const KEEP_ALIVE_MS = 60_000;

export type HttpApp = { readonly app: FastifyInstance; readonly front: ConnectionFront };

/** Builds what all HTTP endpoints have in common: limits, access, the form of errors, metrics and the OpenAPI description. */
export async function httpApp(options: HttpAppOptions): Promise<HttpApp> {
  const { config, descriptionPath, access, routes, deps } = options;
  const headers = await securityHeaders();
  const answerClientError = clientErrorAnswer(headers);
  const app = fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax,
    connectionTimeout: config.requestTimeoutMs * 2,
    ...protocolOptions(options),
    keepAliveTimeout: KEEP_ALIVE_MS,
    trustProxy: [...config.trustedProxies],
    routerOptions: { maxParamLength: 200 },
    // Answers to requests that reach no route and no hook.
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply: unknown) => refusePath(reply as FastifyReply, headers, error),
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const statusOfCode = { ...accessStatuses, ...options.statusOfCode };
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    if (error.code === 'http-busy') reply.header('retry-after', '1');
    void reply.code(httpStatus(error, statusOfCode)).send({ error: errorText(error) });
  });
  app.setNotFoundHandler((request, reply) => {
    void reply.code(404).send({ error: `There is no ${request.method} ${request.url}; see ${descriptionPath}` });
  });
  acceptEmptyJson(app);
  requirePermissions(app);
  // First, so that refused requests have the headers, too.
  app.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
  refuseMalformed(app);
  await readCookies(app);
  app.addHook('onRequest', access.check);
  const front = new ConnectionFront(app, {
    isTls: options.tls !== undefined,
    maxConnections: config.maxConnections,
    headersTimeoutMs: config.requestTimeoutMs,
    keepAliveMs: KEEP_ALIVE_MS,
    onLate: (socket) => answerClientError(lateRequest(), socket),
    deps,
  });
  limitArrival(app, config.requestTimeoutMs, deps.clock);
  measure(app, deps);
  await app.register(swagger, {
    openapi: { info: { title: options.title, version: options.version } },
    transform: describedRoute,
  });
  app.get(descriptionPath, { schema: { hide: true } }, () => app.swagger());
  await routes(app, access);
  await app.ready();
  return { app, front };
}

function protocolOptions({ config, tls }: HttpAppOptions): object {
  const limits = {
    // Node's own answer has no security headers: `refuseMalformed` refuses such requests.
    requireHostHeader: false,
  };
  if (tls === undefined) return { http: limits };
  // A client without a certificate gets an answer with the reason, from `AccessControl`.
  const handshakeTimeout = config.requestTimeoutMs;
  return {
    https: { ...limits, ...tls, handshakeTimeout, requestCert: tls.ca !== undefined, rejectUnauthorized: false },
  };
}

/** Answers a path that cannot be decoded. No hook runs for it. */
function refusePath(reply: FastifyReply, headers: OutgoingHttpHeaders, error: Error): void {
  void reply
    .code(400)
    .headers(headers)
    .header('connection', 'close')
    .send({ error: errorMessage(error) });
}

/** Refuses requests without a `Host`, or with two: a proxy in front may use another one than this endpoint. */
function refuseMalformed(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }, reply) => {
    const hosts = raw.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'host').length;
    if (hosts === 1 || (hosts === 0 && raw.httpVersion === '1.0')) return undefined;
    const error = `A request needs one Host header; this one has ${hosts}`;
    return reply.code(400).header('connection', 'close').send({ error });
  });
  // Node answers an unknown `Expect` itself, without security headers. A server may ignore it.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
}

/** Error with which Node reports a request that does not arrive. */
function lateRequest(): Error {
  return Object.assign(new Error('The request did not arrive in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}

const errorAnswer = {
  ...z.toJSONSchema(errorJson, { target: 'openapi-3.0' }),
  description: 'The request was refused: input, login, rights, size or rate',
};

/** Adds what any route may answer to what it states itself. */
const describedRoute: typeof jsonSchemaTransform = (route) => {
  const { schema, url } = jsonSchemaTransform(route);
  const response = (schema?.response as object | undefined) ?? { '2xx': { description: 'Done' } };
  return { url, schema: { ...schema, response: { '4xx': errorAnswer, ...response } } };
};

/** A route that changes something must state who may. */
function requirePermissions(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    const isRead = [method].flat().every((each) => each === 'GET' || each === 'HEAD');
    invariant(isRead || config?.permission !== undefined, `${String(method)} ${url} states its permission`);
  });
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
