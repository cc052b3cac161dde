import swagger from '@fastify/swagger';
import type { FastifyError, FastifyInstance } from 'fastify';
import fastify from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod';
import type { AlarmDesk } from '../contracts/alarm-desk.ts';
import type { TrialBoard } from '../contracts/trial-board.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { errorMessage, invariant, OperatingError } from '../platform/errors.ts';
import { readSecret } from '../platform/config-fields.ts';
import { accessCheck } from './access.ts';
import { limitArrival } from './arrival-deadline.ts';
import { registerAlarmRoutes } from './alarm-routes.ts';
import { registerDashboard } from './dashboard-routes.ts';
import { registerEventStream } from './event-stream.ts';
import type { AgentIdentity } from './health-routes.ts';
import { registerHealthRoutes } from './health-routes.ts';
import { httpMetrics } from './http-metrics.ts';
import type { HttpConfig, ListenAddress } from './http-config.ts';
import { listenAddress } from './http-config.ts';
import type { ModelDeskRoutesOptions } from './model-desk-routes.ts';
import { registerModelDeskRoutes } from './model-desk-routes.ts';
import { TensorCodec } from './v2/tensor-codec.ts';
import { registerV2Routes } from './v2/v2-routes.ts';
import type { WatchRoutesOptions } from './watch-routes.ts';
import { TurnBudget } from './turn-budget.ts';
import { registerTrialRoutes } from './trial-routes.ts';
import { registerWatchRoutes } from './watch-routes.ts';

export type HttpServerOptions = WatchRoutesOptions & {
  readonly identity: AgentIdentity;
  readonly alarms: AlarmDesk;
  readonly trials: TrialBoard;
  readonly events: LiveEvents;
  readonly config: HttpConfig;
  /** URL of hosts/tensor-codec.ts. */
  readonly codecEntry: URL;
  /** Left out where the models cannot be managed. */
  readonly modelDesk?: Omit<ModelDeskRoutesOptions, 'adminToken'>;
};

/** The agent's HTTP endpoint: health, metrics, alarms, watches, live events, and the description of all that. */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #address: ListenAddress;
  readonly #codec: TensorCodec;
  #app: FastifyInstance | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const address = listenAddress(options.config.listen);
    invariant(address !== undefined, `http.listen '${options.config.listen}' passed the schema`);
    this.#address = address;
    const { config, codecEntry, deps } = options;
    this.#codec = new TensorCodec({ entry: codecEntry, bodyBytesMax: config.maxBody, deps });
    this.#health = options.deps.health.component('http');
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: options.deps.random });
  }

  /** Listens; an address that is taken is reported and tried again, while the watching goes on. */
  async start(): Promise<void> {
    const { config, deps } = this.#options;
    try {
      const app = await this.#build();
      this.#app = app;
      await app.listen({ host: this.#address.host, port: this.#address.port });
      if (this.#stopped) await app.close();
      this.#backoff.reset();
      this.#health.report('ok');
    } catch (error) {
      await this.#app?.close();
      this.#app = undefined;
      const waitMs = this.#backoff.nextMs();
      this.#health.report(
        'degraded',
        `http-listen-failed: ${config.listen}: ${errorMessage(error)}; next attempt in ${Math.round(waitMs)} ms`,
      );
      if (!this.#stopped) this.#retry = deps.clock.setTimer(() => void this.start(), waitMs);
    }
  }

  /** Where it listens; undefined until it does. */
  get url(): string | undefined {
    const address = this.#app?.server.address();
    if (address === null || address === undefined || typeof address === 'string') return undefined;
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const app = this.#app;
    this.#app = undefined;
    await app?.close();
    await this.#codec[Symbol.asyncDispose]();
  }

  async #build(): Promise<FastifyInstance> {
    const { config, identity, modelDesk, deps } = this.#options;
    const token = config.token === undefined ? undefined : readSecret(config.token);
    const adminToken = config.adminToken === undefined ? undefined : readSecret(config.adminToken);
    // Fastify's own limits default to none at all.
    const app = fastify({
      logger: false,
      bodyLimit: config.maxBody,
      connectionTimeout: config.requestTimeout * 2,
      requestTimeout: Math.max(config.requestTimeout, modelDesk?.receiveDeadlineMs ?? 0),
      http: { headersTimeout: config.requestTimeout },
      keepAliveTimeout: 60_000,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 200 },
    });
    app.server.maxConnections = config.maxConnections;
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
    app.addHook('onRequest', accessCheck({ token, adminToken, loopback: this.#address.loopback }));
    limitArrival(app, config.requestTimeout, deps.clock);
    const turns = new TurnBudget(deps);
    turns.limit(app);
    this.#measure(app);
    await app.register(swagger, {
      openapi: { info: { title: `andon agent ${identity.agentId}`, version: identity.version } },
      transform: jsonSchemaTransform,
    });
    registerHealthRoutes(app, identity, deps);
    registerAlarmRoutes(app, this.#options.alarms, deps);
    registerWatchRoutes(app, this.#options);
    registerTrialRoutes(app, this.#options.trials);
    registerDashboard(app);
    registerEventStream(app, this.#options.events, deps);
    await registerV2Routes(app, {
      inference: this.#options.inference,
      codec: this.#codec,
      turns,
      version: identity.version,
      bodyBytesMax: config.maxBody,
      generation: config.generation,
      adminToken,
      deps,
    });
    if (modelDesk !== undefined) await registerModelDeskRoutes(app, { ...modelDesk, adminToken });
    app.get('/api/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
    return app;
  }

  #measure(app: FastifyInstance): void {
    const durations = this.#options.deps.metrics.of(httpMetrics).andon_http_request_duration_seconds;
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'unknown';
      durations.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    });
  }
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
