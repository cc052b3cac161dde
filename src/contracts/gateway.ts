import type { ModelReference } from '../domain/model/model-reference.ts';
import type { HealthChange } from '../platform/health.ts';
import type { MetricValues } from '../platform/metrics.ts';
import type { ModelStatistics, ModelStatus, RunResult, ServedModel, Tensors } from './inference.ts';

/** Models that are loaded in another process. */
export type ModelsSnapshot = {
  readonly loaded: readonly {
    /** As it was named when it was loaded. */
    readonly reference: ModelReference;
    /** Without its golden vectors; undefined where it cannot run. */
    readonly served: ServedModel | undefined;
  }[];
  readonly statuses: readonly ModelStatus[];
  readonly statistics: readonly ModelStatistics[];
};

/** What the gateway asks of the agent's own process. */
export type AgentProtocol = {
  /** A line of its log, as JSON. */
  readonly log: { readonly params: string; readonly result: void };
  readonly health: { readonly params: HealthChange; readonly result: void };
  /** What is loaded for the watches, and for clients in the watches' hosts. */
  readonly models: { readonly params: undefined; readonly result: ModelsSnapshot };
  /** A client's run of a model that shares its host with watches. */
  readonly run: {
    readonly params: { readonly model: ModelReference; readonly inputs: Tensors };
    readonly result: RunResult;
  };
  readonly load: { readonly params: ModelReference; readonly result: void };
  readonly unload: { readonly params: ModelReference; readonly result: void };
};

/** What the agent's own process asks of the gateway. */
export type GatewayProtocol = {
  /** Answers once nothing but the port is missing. */
  readonly prepare: { readonly params: object; readonly result: void };
  readonly ping: { readonly params: undefined; readonly result: void };
  readonly statuses: { readonly params: undefined; readonly result: readonly ModelStatus[] };
  readonly metrics: { readonly params: undefined; readonly result: readonly MetricValues[] };
  /** Another version may be active. */
  readonly reload: { readonly params: undefined; readonly result: void };
};
