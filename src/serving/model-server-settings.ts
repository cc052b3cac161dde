import type { ModelReference } from '../domain/model/model-reference.ts';
import type { LogLevel } from '../domain/log-level.ts';
import type { ModelServerConfig } from './serving-config.ts';

/** Settings that the agent passes to the model server's process. @typeParam M Configuration of the models. */
export type ModelServerSettings<M = unknown> = {
  readonly agentId: string;
  readonly version: string;
  readonly serving: ModelServerConfig;
  readonly models: M;
  /** Hosts that judge for watches, in the agent. */
  readonly watchHosts: readonly string[];
  /** Token of the commands on this box. */
  readonly localToken: string | undefined;
};

/** Settings that change while the process runs. */
export type ChangingSettings = {
  /** Models that the configuration's watches name. */
  readonly watched: readonly ModelReference[];
  readonly logLevel: LogLevel;
};
