import type { AgentProtocol, ModelsSnapshot } from '../contracts/model-server.ts';
import type {
  LoadedModels,
  RepositoryEntry,
  RunResult,
  ServedModel,
  Tensors,
  ClientInference,
} from '../contracts/inference.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { Clock } from '../platform/clock.ts';
import type { RpcClient } from '../platform/rpc.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { mergeStatistics } from '../runtime/queue/model-use.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { ClientHosts } from '../runtime/client-hosts.ts';
import { repositoryEntries } from '../runtime/repository.ts';
import { isServedBy } from '../models/store/serving.ts';

/** Age up to which a snapshot of the agent's models is used: each query costs time on the agent's main thread. */
const SNAPSHOT_MS = 1_000;

export type ClientModelsOptions = {
  /** Client models, in hosts of this process. */
  readonly own: ClientHosts;
  readonly agent: RpcClient<AgentProtocol>;
  readonly config: ModelsConfig;
  /** Hosts that judge for watches, in the agent. */
  readonly watchHosts: readonly string[];
  /** Models that the configuration's watches name. */
  readonly watched: readonly ModelReference[];
  readonly clock: Clock;
};

/**
 * Models for the clients of the model server. They run in hosts of this process; a watch's model is loaded a second time at the
 * first request for it. Only a model that the configuration puts into a host of watches runs there, by RPC to the agent.
 */
export class ClientModels implements ClientInference {
  readonly #options: ClientModelsOptions;
  #watched: readonly ModelReference[];
  /** The latest snapshot of the agent's models. */
  #agents: { readonly models: ModelsSnapshot; readonly atMs: number } | undefined;

  constructor(options: ClientModelsOptions) {
    this.#options = options;
    this.#watched = options.watched;
  }

  /** The configuration's watches name other models. */
  change(watched: readonly ModelReference[]): void {
    this.#watched = watched;
  }

  served(model: ModelReference): ServedModel | undefined {
    if (!this.#isShared(model.name)) return this.#options.own.served(model);
    const latest = this.#agents;
    const isFresh = latest !== undefined && this.#options.clock.monotonicMs() - latest.atMs < SNAPSHOT_MS;
    return isFresh ? findLoaded(latest.models.loaded, model)?.served : undefined;
  }

  async models(): Promise<LoadedModels> {
    const { loaded, statuses, statistics } = await this.#agentsModels();
    const own = this.#options.own;
    return {
      served: (model) => own.served(model) ?? findLoaded(loaded, model)?.served,
      statuses: () => [...statuses, ...own.statuses()],
      statistics: () => mergeStatistics([...statistics, ...own.statistics()]),
    };
  }

  run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    if (this.#isShared(model.name)) return this.#options.agent.call('run', { model, inputs });
    if (this.#options.own.has(model)) return this.#options.own.run(model, inputs);
    return this.#addClientCopy(model).then(() => this.#options.own.run(model, inputs));
  }

  async load(model: ModelReference): Promise<void> {
    if (this.#isShared(model.name)) await this.#options.agent.call('load', model);
    else await this.#options.own.load(model);
  }

  async unload(model: ModelReference): Promise<void> {
    if (this.#isShared(model.name)) return this.#options.agent.call('unload', model);
    const label = formatModelReference(model);
    if (this.#watched.some((watched) => formatModelReference(watched) === label))
      throw inferenceFailure('model-in-use', `A watch uses model '${label}'`);
    await this.#options.own.unload(model);
  }

  async repository(): Promise<readonly RepositoryEntry[]> {
    return repositoryEntries(ModelDirectory.of(this.#options.config), (await this.models()).statuses());
  }

  /** Loads a copy of a watch's model for clients, at the first request. */
  async #addClientCopy(model: ModelReference): Promise<void> {
    const { loaded } = await this.#agentsModels();
    const watched = findLoaded(loaded, model);
    if (watched !== undefined) this.#options.own.add(watched.reference);
  }

  #isShared(name: string): boolean {
    const { watchHosts, config } = this.#options;
    return isServedBy(watchHosts, config, name);
  }

  async #agentsModels(): Promise<ModelsSnapshot> {
    const atMs = this.#options.clock.monotonicMs();
    const models = await this.#options.agent.call('models', undefined);
    this.#agents = { models, atMs };
    return models;
  }
}

/** Returns the model with this reference, or one with another reference and the requested version. */
function findLoaded(loaded: ModelsSnapshot['loaded'], model: ModelReference) {
  const label = formatModelReference(model);
  const found = loaded.find(({ reference }) => formatModelReference(reference) === label);
  if (found !== undefined || model.version === undefined) return found;
  return loaded.find(
    ({ served }) => served?.judgedBy.model === model.name && served.judgedBy.version === model.version,
  );
}
