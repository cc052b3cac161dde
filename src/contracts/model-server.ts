import type { ModelReference } from '../domain/model/model-reference.ts';
import type { HealthChange } from '../platform/health.ts';
import type { MetricValues } from '../platform/metrics.ts';
import type { ModelStatistics, ModelStatus, RunResult, ServedModel, Tensors } from './inference.ts';

/** Models that are loaded in another process. */
export type ModelsSnapshot = {
  readonly loaded: readonly {
    /** The reference by which it was loaded. */
    readonly reference: ModelReference;
    /** Without its golden vectors; undefined if it cannot run. */
    readonly served: ServedModel | undefined;
  }[];
  readonly statuses: readonly ModelStatus[];
  readonly statistics: readonly ModelStatistics[];
};

/** Calls from the model server to the agent. */
export type AgentProtocol = {
  /** One line of its log, as JSON. */
  readonly log: { readonly params: string; readonly result: void };
  readonly health: { readonly params: HealthChange; readonly result: void };
  /** The model server listens on this URL. */
  readonly listening: { readonly params: string; readonly result: void };
  /** Models loaded in the agent's hosts: those of the watches, and client models that share a host with them. */
  readonly models: { readonly params: undefined; readonly result: ModelsSnapshot };
  /** A client's run of a model that shares its host with watches. */
  readonly run: {
    readonly params: { readonly model: ModelReference; readonly inputs: Tensors };
    readonly result: RunResult;
  };
  readonly load: { readonly params: ModelReference; readonly result: void };
  readonly unload: { readonly params: ModelReference; readonly result: void };
};

/** Calls from the agent to the model server. */
export type ModelServerProtocol = {
  /** Starts it; returns when it has tried once to listen. `settings` stay the same until it ends, `changing` do not. */
  readonly start: { readonly params: { readonly settings: object; readonly changing: object }; readonly result: void };
  readonly ping: { readonly params: undefined; readonly result: void };
  readonly statuses: { readonly params: undefined; readonly result: readonly ModelStatus[] };
  readonly metrics: { readonly params: undefined; readonly result: readonly MetricValues[] };
  /** Another version may be active, or other settings of `changing`. */
  readonly reload: { readonly params: object; readonly result: void };
};
