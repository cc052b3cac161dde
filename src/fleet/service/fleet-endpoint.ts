import { registerLogin } from '../../web/access/login-routes.ts';
import type { OperatorAudit } from '../../web/access/operator-audit.ts';
import { HttpServer } from '../../web/http-server.ts';
import type { Deps } from '../../platform/deps.ts';
import { packageVersion } from '../../platform/package-files.ts';
import type { FleetServiceConfig } from './fleet-service-config.ts';
import { registerFleetRoutes } from './fleet-routes.ts';
import type { FleetService } from './fleet-service.ts';

const BODY_BYTES_MAX = 1_000_000;

const STATUS_OF_CODE = {
  'fleet-box-unknown': 404,
  'fleet-token-invalid': 403,
  'fleet-file-too-large': 413,
} as const;

export type FleetEndpointOptions = {
  readonly config: FleetServiceConfig['http'];
  readonly service: FleetService;
  readonly audit: OperatorAudit;
  /** Token of the commands on the box of the service. */
  readonly localToken: string;
  readonly onListening: (url: string) => void;
  readonly deps: Deps;
};

/** The HTTP endpoint of the fleet service. */
export function fleetEndpoint({
  config,
  service,
  audit,
  localToken,
  onListening,
  deps,
}: FleetEndpointOptions): HttpServer {
  return new HttpServer({
    component: 'http',
    config,
    localToken,
    audit,
    title: 'andon fleet',
    version: packageVersion,
    descriptionPath: '/api/v1/openapi.json',
    bodyBytesMax: BODY_BYTES_MAX,
    statusOfCode: STATUS_OF_CODE,
    onListening,
    routes: async (app, access) => {
      await registerLogin(app, { access, config, audit, deps });
      app.get('/metrics', { schema: { summary: 'Prometheus metrics', hide: true } }, async (_request, reply) =>
        reply.type(deps.metrics.contentType).send(await deps.metrics.text()),
      );
      registerFleetRoutes(app, { service, audit });
    },
    deps,
  });
}
