import type { ModelReference } from '../../domain/model/model-reference.ts';
import type { LogLevel } from '../../platform/log.ts';
import type { AgentIdentity } from '../../web/health-routes.ts';
import type { HttpConfig } from '../../web/http-config.ts';

/** What the gateway is started with. @typeParam M The configuration of the models. */
export type GatewaySettings<M = unknown> = {
  readonly identity: AgentIdentity;
  readonly http: HttpConfig;
  readonly models: M;
  /** Models that the configuration's watches name. */
  readonly watched: readonly ModelReference[];
  readonly logLevel: LogLevel;
  /** Path of the private socket of the agent's own endpoint, for all that the gateway does not answer. */
  readonly agentPath: string;
  /** And of the gateway's, for what comes to the agent by connections that it has already. */
  readonly gatewayPath: string;
};

/** The message that brings the port, as a handle: whoever gets it listens in the same turn of its loop. */
export const TAKE_PORT = 'take-port';
