import type {
  ClientInference,
  LoadedModels,
  ModelStatistics,
  ModelStatus,
  RepositoryEntry,
  RunResult,
  ServedModel,
  Tensors,
} from '../contracts/inference.ts';
import type { ModelsSnapshot } from '../contracts/model-server.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { hostOf } from '../models/store/serving.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import { standingOf } from './host/model-status.ts';
import { type HostPool, type Place, placeOf } from './host-pool.ts';
import { countedRun, inferenceMetrics } from './queue/inference-metrics.ts';
import { mergeStatistics } from './queue/model-use.ts';
import { repositoryEntries } from './repository.ts';

export type ClientHostsOptions = {
  readonly pool: HostPool;
  /** Models of the watches, by label. */
  readonly watched: ReadonlyMap<string, Place>;
  readonly config: ModelsConfig;
  /** Returns whether a model of `models.serve` is loaded here; by default all are. */
  readonly serves?: (name: string) => boolean;
  readonly deps: Deps;
};

/** Models of clients in the hosts of this process. */
export class ClientHosts implements ClientInference, LoadedModels {
  readonly #options: ClientHostsOptions;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  /** By label. */
  readonly #models = new Map<string, Place>();

  constructor(options: ClientHostsOptions) {
    this.#options = options;
    this.#directory = ModelDirectory.of(options.config);
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  /** Loads the models of `models.serve` one after another, after the watches' models. */
  async loadConfigured(): Promise<void> {
    const { pool, config, serves = () => true, deps } = this.#options;
    const { serve } = config;
    try {
      const names = serve === 'none' ? [] : serve === 'all' ? await this.#activeNames() : serve;
      for (const name of names) if (pool.isRunning && serves(name)) this.add({ name, version: undefined });
    } catch (error) {
      deps.log.error({ serve }, `Not all models are served: ${errorMessage(error)}`);
    }
  }

  served(model: ModelReference): ServedModel | undefined {
    const place = placeOf(this.#models, model) ?? placeOf(this.#options.watched, model);
    return place?.host.jobs.ready(place.slot);
  }

  async models(): Promise<LoadedModels> {
    return this;
  }

  statuses(): readonly ModelStatus[] {
    return this.#options.pool.statuses();
  }

  statistics(): readonly ModelStatistics[] {
    const slots = this.#options.pool.hosts.flatMap((host) => host.slots);
    return mergeStatistics(slots.flatMap((slot) => slot.use.statistics() ?? []));
  }

  /** Returns what is loaded, for another process. */
  snapshot(): ModelsSnapshot {
    const places = [...this.#options.watched.values(), ...this.#models.values()];
    const loaded = places.map(({ host, slot }) => {
      const served = host.jobs.ready(slot);
      const withoutGolden = served && { ...served, manifest: { ...served.manifest, golden: [] } };
      return { reference: slot.reference, served: withoutGolden };
    });
    return { loaded, statuses: this.statuses(), statistics: this.statistics() };
  }

  run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    const label = formatModelReference(model);
    const { watched } = this.#options;
    const place = placeOf(this.#models, model);
    // A client may send any name; unknown names do not become labels.
    const known = place?.slot.label ?? (watched.has(label) ? label : '');
    return countedRun(this.#metrics, known, async () => {
      const { host, slot } = place ?? this.#addCopy(model);
      // Clients wait for the first load of the model.
      if (slot.state.last === undefined) await slot.settled;
      return host.jobs.run(slot, inputs, 'client');
    });
  }

  async load(model: ModelReference): Promise<void> {
    const label = formatModelReference(model);
    const known = this.#models.get(label);
    // A model that does not exist would stay as a failed model, and degrade the agent.
    if (known === undefined) await this.#directory.checkExists(model);
    else known.host.reload(known.slot);
    const { slot } = known ?? this.add(model);
    await slot.settled;
    const { refusal } = slot.state;
    if (refusal !== undefined) throw inferenceFailure('model-load-failed', `Model '${label}': ${refusal}`);
    const { state, reason } = standingOf(slot);
    if (state !== 'ready') throw inferenceFailure('model-load-failed', `Model '${label}' is ${state}: ${reason}`);
  }

  /** Returns whether a model is loaded for clients, or was requested by one. */
  has(model: ModelReference): boolean {
    return placeOf(this.#models, model) !== undefined;
  }

  /** Loads a model for clients if necessary; its runs wait for it. @throws {OperatingError} 'too-many-models' */
  add(model: ModelReference): Place {
    const label = formatModelReference(model);
    const known = this.#models.get(label);
    if (known !== undefined) return known;
    const { pool, config } = this.#options;
    if (this.#models.size >= config.maxServed)
      throw inferenceFailure(
        'too-many-models',
        `${config.maxServed} models are loaded for clients already (models.maxServed)`,
      );
    const host = pool.named(hostOf(config, model.name, 'client'));
    const place = { host, slot: host.add(model, `served/${label}`) };
    this.#models.set(label, place);
    return place;
  }

  async unload(model: ModelReference): Promise<void> {
    const label = formatModelReference(model);
    if (this.#options.watched.has(label)) throw inferenceFailure('model-in-use', `A watch uses model '${label}'`);
    const place = this.#models.get(label);
    this.#models.delete(label);
    await place?.host.remove(label);
  }

  repository(): Promise<readonly RepositoryEntry[]> {
    return repositoryEntries(this.#directory, this.statuses());
  }

  async #activeNames(): Promise<readonly string[]> {
    const names = await this.#directory.names();
    const active = await Promise.all(names.map((name) => this.#directory.activeVersion(name).catch(() => undefined)));
    return names.filter((_, index) => active[index] !== undefined);
  }

  /** Creates the copy of a watch's model for clients at their first request. */
  #addCopy(model: ModelReference): Place {
    const watched = placeOf(this.#options.watched, model);
    if (watched !== undefined) return this.add(watched.slot.reference);
    throw inferenceFailure('model-not-ready', `Model '${formatModelReference(model)}' is not loaded`);
  }
}
