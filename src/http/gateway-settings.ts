import type { ModelReference } from '../domain/model-reference.ts';
import type { LogLevel } from '../platform/log.ts';
import type { AgentIdentity } from './health-routes.ts';
import type { HttpConfig } from './http-config.ts';

/** What the gateway is started with; the port comes along as a handle. @typeParam M The configuration of the models. */
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

const GATEWAY_PATH = /^\/v2(?:[/?]|$)/;

/** Whether the gateway answers requests for a path, rather than the agent's own process. */
export function isGatewayPath(url: string): boolean {
  return GATEWAY_PATH.test(url);
}
