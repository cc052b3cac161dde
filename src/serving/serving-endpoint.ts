import type { ClientInference } from '../contracts/inference.ts';
import type { Deps } from '../platform/deps.ts';
import { HttpServer } from '../web/http-server.ts';
import type { ModelServerSettings } from './model-server-settings.ts';
import { registerV2Routes } from './v2-routes.ts';

export type ServingEndpointOptions = {
  readonly settings: Pick<ModelServerSettings, 'agentId' | 'version' | 'serving'>;
  readonly models: ClientInference;
  /** URL of hosts/tensor-codec.ts. */
  readonly codecEntry: URL;
  readonly onListening?: (url: string) => void;
  readonly deps: Deps;
};

/** Load balancers and supervisors check health without a secret. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/v2/health/live', '/v2/health/ready']);

/** The model server's HTTP endpoint. */
export function servingEndpoint({
  settings,
  models,
  codecEntry,
  onListening,
  deps,
}: ServingEndpointOptions): HttpServer {
  const { agentId, version, serving } = settings;
  return new HttpServer({
    component: 'serving/http',
    config: serving,
    title: `andon model server of ${agentId}`,
    version,
    descriptionPath: '/openapi.json',
    bodyBytesMax: serving.maxBodyBytes,
    receiveDeadlineMs: 0,
    openPaths: OPEN_PATHS,
    statusOfCode: {},
    routes: (app, adminToken) =>
      registerV2Routes(app, {
        inference: models,
        codecEntry,
        version,
        bodyBytesMax: serving.maxBodyBytes,
        generation: serving.generation,
        adminToken,
        deps,
      }),
    ...(onListening === undefined ? {} : { onListening }),
    deps,
  });
}
