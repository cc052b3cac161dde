import type { AgentProtocol, ModelsSnapshot } from '../contracts/model-server.ts';
import type {
  LoadedModels,
  ModelStatistics,
  ModelStatus,
  RepositoryEntry,
  RunResult,
  ServedModel,
  Tensors,
  ClientInference,
} from '../contracts/inference.ts';
import type { ModelReference } from '../domain/model/model-reference.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { Clock } from '../platform/clock.ts';
import type { RpcClient } from '../platform/rpc.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { mergeStatistics } from '../runtime/queue/model-counts.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { repositoryEntries } from '../runtime/repository.ts';
import { sharedWithWatches } from '../models/store/serving.ts';
import type { SupervisedInferenceHost } from '../runtime/supervised-host.ts';

/** How long what the agent has loaded is taken to be as it was: each look costs the process that scans the machines. */
const SNAPSHOT_MS = 1_000;

export type ClientModelsOptions = {
  /** Models of clients alone, in hosts of this process. */
  readonly own: SupervisedInferenceHost;
  readonly agent: RpcClient<AgentProtocol>;
  readonly config: ModelsConfig;
  /** Models that the configuration's watches name. */
  readonly watched: readonly ModelReference[];
  readonly clock: Clock;
};

/**
 * The agent's models as the gateway's clients find them: in hosts of its own, where a watch's model is loaded once more when
 * it is first asked for. Only a model that the configuration puts into a watches' host is run there, by the agent.
 */
export class ClientModels implements ClientInference {
  readonly #own: SupervisedInferenceHost;
  readonly #agent: RpcClient<AgentProtocol>;
  readonly #directory: ModelDirectory;
  readonly #watched: readonly ModelReference[];
  readonly #isShared: (name: string) => boolean;
  readonly #clock: Clock;
  /** What the agent last said that it has. */
  #agents: { readonly models: ModelsSnapshot; readonly atMs: number } | undefined;

  constructor({ own, agent, config, watched, clock }: ClientModelsOptions) {
    this.#own = own;
    this.#agent = agent;
    this.#directory = ModelDirectory.of(config);
    this.#watched = watched;
    this.#isShared = sharedWithWatches(config, watched);
    this.#clock = clock;
  }

  served(model: ModelReference): ServedModel | undefined {
    if (!this.#isShared(model.name)) return this.#own.served(model);
    const known = this.#agents;
    const isFresh = known !== undefined && this.#clock.monotonicMs() - known.atMs < SNAPSHOT_MS;
    return isFresh ? placeOf(known.models.loaded, model)?.served : undefined;
  }

  async models(): Promise<LoadedModels> {
    return new ModelsOfBoth(this.#own, await this.#agentsModels());
  }

  run(model: ModelReference, inputs: Tensors, priority: 'client'): Promise<RunResult> {
    if (this.#isShared(model.name)) return this.#agent.call('run', { model, inputs });
    if (this.#own.hasClientModel(model)) return this.#own.run(model, inputs, priority);
    return this.#addClientCopy(model).then(() => this.#own.run(model, inputs, priority));
  }

  async load(model: ModelReference): Promise<void> {
    if (this.#isShared(model.name)) await this.#agent.call('load', model);
    else await this.#own.load(model);
  }

  async unload(model: ModelReference): Promise<void> {
    if (this.#isShared(model.name)) return this.#agent.call('unload', model);
    const label = formatModelReference(model);
    if (this.#watched.some((watched) => formatModelReference(watched) === label))
      throw inferenceFailure('model-in-use', `A watch uses model '${label}'`);
    await this.#own.unload(model);
  }

  async repository(): Promise<readonly RepositoryEntry[]> {
    return repositoryEntries(this.#directory, (await this.models()).statuses());
  }

  /** A watch's model gets a copy for clients the first time. */
  async #addClientCopy(model: ModelReference): Promise<void> {
    const { loaded } = await this.#agentsModels();
    const watched = placeOf(loaded, model);
    if (watched !== undefined) this.#own.addClientModel(watched.reference);
  }

  async #agentsModels(): Promise<ModelsSnapshot> {
    const atMs = this.#clock.monotonicMs();
    const models = await this.#agent.call('models', undefined);
    this.#agents = { models, atMs };
    return models;
  }
}

/** The gateway's own copies, and behind them what the agent has. */
class ModelsOfBoth implements LoadedModels {
  readonly #own: LoadedModels;
  readonly #agents: ModelsSnapshot;

  constructor(own: LoadedModels, agents: ModelsSnapshot) {
    this.#own = own;
    this.#agents = agents;
  }

  served(model: ModelReference): ServedModel | undefined {
    return this.#own.served(model) ?? placeOf(this.#agents.loaded, model)?.served;
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#agents.statuses, ...this.#own.statuses()];
  }

  statistics(): readonly ModelStatistics[] {
    return mergeStatistics([...this.#agents.statistics, ...this.#own.statistics()]);
  }
}

/** The model as it was named, or the one named otherwise that has this version. */
function placeOf(
  loaded: ModelsSnapshot['loaded'],
  model: ModelReference,
): ModelsSnapshot['loaded'][number] | undefined {
  const label = formatModelReference(model);
  const place = loaded.find(({ reference }) => formatModelReference(reference) === label);
  if (place !== undefined || model.version === undefined) return place;
  return loaded.find(
    ({ served }) => served?.judgedBy.model === model.name && served.judgedBy.version === model.version,
  );
}
