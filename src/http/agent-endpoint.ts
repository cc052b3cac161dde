import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { ModelCatalogue } from '../contracts/models/model-catalogue.ts';
import type { ModelTryOuts } from '../contracts/models/model-try-out.ts';
import type { RolloutStatuses } from '../contracts/rollout-statuses.ts';
import { registerLogin } from '../web/access/login-routes.ts';
import { HttpServer } from '../web/http-server.ts';
import { type AlarmRoutesOptions, registerAlarmRoutes } from './alarm-routes.ts';
import { type AnnotationRoutesOptions, registerAnnotations } from './annotation-routes.ts';
import { compressLargeAnswers } from './compressed-answers.ts';
import { type ConfigurationRoutesOptions, registerConfiguration } from './configuration-routes.ts';
import { registerEventStream } from './event-stream.ts';
import { type AgentIdentity, registerHealthRoutes } from './health-routes.ts';
import type { HttpConfig } from './http-config.ts';
import { registerJournal } from './journal-routes.ts';
import { type MaintenanceRoutesOptions, registerMaintenance } from './maintenance-routes.ts';
import { registerModelDirectory } from './models/model-directory-routes.ts';
import { type ModelRegistryRoutesOptions, registerModelRegistryRoutes } from './models/model-registry-routes.ts';
import { type OutboxRoutesOptions, registerOutboxRoutes } from './outbox-routes.ts';
import { registerRolloutRoutes } from './models/rollout-routes.ts';
import { registerTryOut } from './models/try-out-routes.ts';
import { registerScreen } from './screen-routes.ts';
import type { WaveformViews } from '../contracts/waveforms/waveform-analysis.ts';
import { registerTagHistory } from './tag-history-routes.ts';
import { registerWaveforms } from './waveform-routes.ts';
import { registerSources, type SourceRoutesOptions } from './source-routes.ts';
import { TurnBudget } from './turn-budget.ts';
import { registerWatchRoutes, type WatchRoutesOptions } from './watch-routes.ts';

export type AgentEndpointOptions = WatchRoutesOptions &
  AlarmRoutesOptions &
  OutboxRoutesOptions &
  AnnotationRoutesOptions &
  MaintenanceRoutesOptions &
  ConfigurationRoutesOptions &
  SourceRoutesOptions & {
    readonly config: HttpConfig;
    readonly identity: AgentIdentity;
    readonly rollouts: RolloutStatuses;
    readonly events: LiveEvents;
    /** Undefined if the agent reads no waveforms, as in a benchmark. */
    readonly waveforms?: WaveformViews | undefined;
    readonly catalogue: ModelCatalogue;
    readonly tryOuts: ModelTryOuts;
    /** Undefined if the models cannot be managed. */
    readonly modelRegistry: ModelRegistryRoutesOptions | undefined;
    /** Token of the commands on this box. */
    readonly localToken: string | undefined;
    readonly modelServerAddress: () => string | undefined;
  };

/** Requests of this API have bodies of a few hundred bytes; a package of a model is a stream with a limit of its own. */
const BODY_BYTES_MAX = 65_536;

const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'alarm-unknown': 404,
  'alarm-not-acknowledgeable': 409,
  'alarm-not-shelved': 409,
  'alarm-out-of-service': 409,
  'alarm-shelving-invalid': 400,
  'rewind-refused': 409,
  'backup-running': 409,
  'source-without-registers': 404,
  'source-without-topics': 404,
  'mqtt-browser-busy': 409,
  'mqtt-browse-failed': 502,
  'source-without-nodes': 404,
  'opcua-browser-busy': 409,
  'opcua-browse-failed': 502,
  'modbus-refused': 422,
  'modbus-browser-busy': 409,
  'modbus-timeout': 502,
  'modbus-connect-failed': 502,
  'modbus-connection-lost': 502,
  'modbus-garbled-answer': 502,
  'configuration-read-only': 403,
  'configuration-changed': 412,
  'configuration-invalid': 422,
  'model-version-unknown': 404,
  'model-document-unknown': 404,
  'model-absent': 404,
  'model-input-invalid': 400,
};

/** The agent's own HTTP endpoint: health, metrics, alarms, watches, live events, management of models and the pages. */
export function agentEndpoint(options: AgentEndpointOptions): HttpServer {
  const { config, identity, modelRegistry, localToken, audit, deps } = options;
  return new HttpServer({
    component: 'http',
    config,
    localToken,
    audit,
    title: `andon agent ${identity.agentId}`,
    version: identity.version,
    descriptionPath: '/api/v1/openapi.json',
    bodyBytesMax: BODY_BYTES_MAX,
    statusOfCode: STATUS_OF_CODE,
    routes: async (app, access) => {
      new TurnBudget(deps).limit(app);
      compressLargeAnswers(app);
      await registerLogin(app, { access, config, audit, deps });
      registerHealthRoutes(app, identity, deps);
      registerAlarmRoutes(app, options);
      registerWatchRoutes(app, options);
      registerRolloutRoutes(app, options.rollouts);
      registerModelDirectory(app, options.catalogue);
      registerTryOut(app, options.tryOuts);
      registerOutboxRoutes(app, options);
      registerJournal(app, options);
      registerAnnotations(app, options);
      registerMaintenance(app, options);
      registerTagHistory(app, options);
      if (options.waveforms !== undefined) registerWaveforms(app, { waveforms: options.waveforms });
      registerConfiguration(app, options);
      registerSources(app, options);
      registerScreen(app);
      registerEventStream(app, options.events, deps);
      registerModelServerNotice(app, options.modelServerAddress);
      if (modelRegistry !== undefined) await registerModelRegistryRoutes(app, modelRegistry);
    },
    deps,
  });
}

/** Answers requests for `/v2` with the address of the model server, before their body is read. */
function registerModelServerNotice(app: FastifyInstance, address: () => string | undefined): void {
  const onRequest = async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    reply.code(404).send({ error: modelServerNotice(address()) });
  for (const path of ['/v2', '/v2/*'])
    app.all(path, {
      config: { permission: 'view' },
      schema: { hide: true },
      onRequest,
      handler: async () => undefined,
    });
}

function modelServerNotice(address: string | undefined): string {
  return address === undefined
    ? "This agent does not serve models. Add 'serving: {}' to its configuration; models are then served at 127.0.0.1:8081"
    : `Models are not served on this port. Send the request to the model server at ${address} (serving.listen)`;
}
