import type { ModelsSnapshot } from '../contracts/model-server.ts';
import type {
  InferenceHost,
  LoadedModels,
  ModelStatistics,
  ModelStatus,
  ReadyModel,
  RepositoryEntry,
  RunPriority,
  RunResult,
  ServedModel,
  Tensors,
  ClientInference,
} from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { inferenceMetrics } from './queue/inference-metrics.ts';
import { mergeStatistics } from './queue/model-counts.ts';
import { ModelDirectory, type StoredModel } from '../models/store/model-directory.ts';
import { ModelHost } from './host/model-host.ts';
import type { Incompatibilities, ModelSlot } from './host/model-slot.ts';
import { standingOf } from './host/model-status.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { FallbackFor } from './host/connect-remote.ts';
import { FallbackModel, type HeldModel } from './remote/fallback-model.ts';
import { repositoryEntries } from './repository.ts';
import { hostOf, WATCH_HOST } from '../models/store/serving.ts';
import { sweepPrivateFolders } from '../platform/private-folder.ts';

export type SupervisedInferenceHostOptions = {
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  /**
   * Models of the watches, loaded at the start in this order; duplicates are loaded once. Undefined in a process that
   * judges for no watch.
   */
  readonly models?: readonly ModelReference[];
  /** Returns why a version does not fit the watches that name no version; it does not take over then. */
  readonly incompatibilities?: Incompatibilities;
  /** Returns whether a model of `models.serve` is loaded here; by default all are. */
  readonly serves?: (name: string) => boolean;
  readonly deps: Deps;
};

/** A model in the host that it runs in. */
type Place = { readonly host: ModelHost; readonly slot: ModelSlot };

/**
 * Models in supervised child processes: one for the watches, one for clients, and others named by the configuration. The
 * agent holds the models of its watches in one instance, the model server those of clients in another.
 *
 * A client's run never enters a process that judges for a watch, unless `models.limits.<name>.host` puts both in one. A
 * watch's model is loaded a second time for clients, at their first request or at the start if `models.serve` names it.
 * So a slow or crashing run of a client delays and loses no window.
 */
export class SupervisedInferenceHost implements InferenceHost, ClientInference {
  readonly #options: SupervisedInferenceHostOptions;
  readonly #config: ModelsConfig;
  readonly #deps: Deps;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #hosts = new Map<string, ModelHost>();
  /** By label. */
  readonly #watched = new Map<string, Place>();
  readonly #clientModels = new Map<string, Place>();
  /** Number of remote models that each fallback, which no watch names, replaces. */
  readonly #fallbacks = new Map<string, number>();
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: SupervisedInferenceHostOptions) {
    const { config, deps, models, incompatibilities } = options;
    this.#options = options;
    this.#config = config;
    this.#deps = deps;
    this.#directory = ModelDirectory.of(config);
    this.#metrics = deps.metrics.of(inferenceMetrics);
    if (models !== undefined) this.#hostNamed(WATCH_HOST);
    for (const model of models ?? []) this.#watch(model, incompatibilities);
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    void sweepPrivateFolders();
    for (const host of this.#hosts.values()) host.start();
    void this.#serveConfigured();
  }

  /** Process id of the host of the watches; undefined while it is being replaced. */
  get hostPid(): number | undefined {
    return this.hostPidOf(WATCH_HOST);
  }

  hostPidOf(name: string): number | undefined {
    return this.#hosts.get(name)?.hostPid;
  }

  reload(): void {
    for (const host of this.#hosts.values()) for (const slot of host.slots) host.reload(slot);
  }

  ready(model: ModelReference): ReadyModel | undefined {
    const label = formatModelReference(model);
    const ready = this.#watched.get(label)?.host.ready(label);
    if (ready === undefined || !judgesWindows(ready.manifest)) return undefined;
    return { ...ready, manifest: ready.manifest };
  }

  served(model: ModelReference): ServedModel | undefined {
    const clientModel = placeOf(this.#clientModels, model);
    const place = clientModel ?? placeOf(this.#watched, model);
    return place?.host.ready(place.slot.label);
  }

  async models(): Promise<LoadedModels> {
    return this;
  }

  /** Returns what is loaded, for another process. */
  snapshot(): ModelsSnapshot {
    const places = [...this.#watched.values(), ...this.#clientModels.values()];
    const loaded = places.map(({ host, slot }) => {
      const served = host.ready(slot.label);
      const withoutGolden = served && { ...served, manifest: { ...served.manifest, golden: [] } };
      return { reference: slot.reference, served: withoutGolden };
    });
    return { loaded, statuses: this.statuses(), statistics: this.statistics() };
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#hosts.values()].flatMap((host) => host.statuses());
  }

  lastTickMs(): number {
    return Math.min(...[...this.#hosts.values()].map((host) => host.lastTickMs()));
  }

  async run(model: ModelReference, inputs: Tensors, priority: RunPriority = 'watch'): Promise<RunResult> {
    const label = formatModelReference(model);
    try {
      const place =
        priority === 'watch'
          ? this.#watched.get(label)
          : (placeOf(this.#clientModels, model) ?? this.#addClientCopy(model));
      if (place === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not loaded`);
      // Clients wait for the first load of the model.
      if (priority === 'client' && place.slot.state.last === undefined) await place.slot.settled;
      const result = await place.host.run(place.slot.label, inputs, priority);
      this.#metrics.andon_inference_runs_total.inc({ model: place.slot.label, outcome: 'ok' });
      return result;
    } catch (error) {
      const known = this.#watched.has(label) || this.#clientModels.has(label);
      // A client may send any name; unknown names do not become labels.
      this.#metrics.andon_inference_runs_total.inc({ model: known ? label : '', outcome: errorCode(error) });
      throw error;
    }
  }

  async load(model: ModelReference): Promise<void> {
    const label = formatModelReference(model);
    const known = this.#clientModels.get(label);
    // A model that does not exist would stay as a failed model, and degrade the agent.
    if (known === undefined) await this.#directory.checkExists(model);
    else known.host.reload(known.slot);
    const { slot } = known ?? this.#addClientModel(model);
    await slot.settled;
    const { refusal } = slot.state;
    if (refusal !== undefined) throw inferenceFailure('model-load-failed', `Model '${label}': ${refusal}`);
    const { state, reason } = standingOf(slot);
    if (state !== 'ready') throw inferenceFailure('model-load-failed', `Model '${label}' is ${state}: ${reason}`);
  }

  /** Returns whether a model is loaded for clients, or was requested by one. */
  hasClientModel(model: ModelReference): boolean {
    return placeOf(this.#clientModels, model) !== undefined;
  }

  /** Loads a model for clients if necessary; its runs wait for it. @throws {OperatingError} 'too-many-models' */
  addClientModel(model: ModelReference): void {
    this.#addClientModel(model);
  }

  async unload(model: ModelReference): Promise<void> {
    const label = formatModelReference(model);
    if (this.#watched.has(label)) throw inferenceFailure('model-in-use', `A watch uses model '${label}'`);
    const place = this.#clientModels.get(label);
    this.#clientModels.delete(label);
    await place?.host.remove(label);
  }

  repository(): Promise<readonly RepositoryEntry[]> {
    return repositoryEntries(this.#directory, this.statuses());
  }

  statistics(): readonly ModelStatistics[] {
    const slots = [...this.#hosts.values()].flatMap((host) => host.slots);
    return mergeStatistics(slots.flatMap((slot) => slot.use.statistics() ?? []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'stopped';
    await Promise.all([...this.#hosts.values()].map((host) => host[Symbol.asyncDispose]()));
  }

  /** Loads the models of `models.serve` one after another, after the watches' models. */
  async #serveConfigured(): Promise<void> {
    try {
      const { serve } = this.#config;
      const { serves = () => true } = this.#options;
      const names = serve === 'none' ? [] : serve === 'all' ? await this.#activeNames() : serve;
      for (const name of names)
        if (this.#state === 'running' && serves(name)) this.#addClientModel({ name, version: undefined });
    } catch (error) {
      this.#deps.log.error({ serve: this.#config.serve }, `Not all models are served: ${errorMessage(error)}`);
    }
  }

  async #activeNames(): Promise<readonly string[]> {
    const names = await this.#directory.names();
    const active = await Promise.all(names.map((name) => this.#directory.activeVersion(name).catch(() => undefined)));
    return names.filter((_, index) => active[index] !== undefined);
  }

  /** Creates the copy of a watch's model for clients at their first request. */
  #addClientCopy(model: ModelReference): Place | undefined {
    const watched = placeOf(this.#watched, model);
    return watched === undefined ? undefined : this.#addClientModel(watched.slot.reference);
  }

  #watch(model: ModelReference, incompatibilities?: Incompatibilities): Place {
    const host = this.#hostNamed(hostOf(this.#config, model.name, 'watch'));
    const label = formatModelReference(model);
    const slot = host.add(model, `model/${label}`, model.version === undefined ? incompatibilities : undefined);
    const place = { host, slot };
    this.#watched.set(label, place);
    return place;
  }

  /** Returns the model that judges for the watches if a remote version cannot. Clients get the requested model, or an error. */
  #fallbackFor(slot: ModelSlot, { manifest }: StoredModel): FallbackModel | undefined {
    const model = manifest.remote?.fallback;
    if (model === undefined || this.#watched.get(slot.label)?.slot !== slot) return undefined;
    return new FallbackModel({ model, manifest, directory: this.#directory, hold: (wanted) => this.#hold(wanted) });
  }

  /** Keeps a model loaded as one of the watches' until it is released. */
  #hold(model: ModelReference): HeldModel {
    const label = formatModelReference(model);
    const holders = this.#fallbacks.get(label);
    if (holders !== undefined || !this.#watched.has(label)) this.#fallbacks.set(label, (holders ?? 0) + 1);
    const { host, slot } = this.#watched.get(label) ?? this.#watch(model);
    return {
      ready: () => this.ready(model),
      run: (inputs) => host.run(slot.label, inputs, 'watch'),
      release: () => this.#release(label, host),
    };
  }

  #release(label: string, host: ModelHost): void {
    const holders = this.#fallbacks.get(label);
    if (holders === undefined) return;
    if (holders > 1) return void this.#fallbacks.set(label, holders - 1);
    this.#fallbacks.delete(label);
    this.#watched.delete(label);
    if (this.#state === 'running') void host.remove(label);
  }

  /** @throws {OperatingError} 'too-many-models' */
  #addClientModel(model: ModelReference): Place {
    const label = formatModelReference(model);
    const known = this.#clientModels.get(label);
    if (known !== undefined) return known;
    const { maxServed } = this.#config;
    if (this.#clientModels.size >= maxServed)
      throw inferenceFailure(
        'too-many-models',
        `${maxServed} models are loaded for clients already (models.maxServed)`,
      );
    const host = this.#hostNamed(hostOf(this.#config, model.name, 'client'));
    const place = { host, slot: host.add(model, `served/${label}`) };
    this.#clientModels.set(label, place);
    return place;
  }

  #hostNamed(name: string): ModelHost {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const { entry, config, deps } = this.#options;
    const fallbackFor: FallbackFor = (slot, stored) => this.#fallbackFor(slot, stored);
    const host = new ModelHost({ name, entry, config, fallbackFor, deps });
    this.#hosts.set(name, host);
    if (this.#state === 'running') host.start();
    return host;
  }
}

/** Returns the model with this reference, or one with another reference that runs this version. */
function placeOf(places: ReadonlyMap<string, Place>, model: ModelReference): Place | undefined {
  const place = places.get(formatModelReference(model));
  if (place !== undefined || model.version === undefined) return place;
  return [...places.values()].find(
    ({ slot }) => slot.reference.name === model.name && slot.state.last?.stored.version === model.version,
  );
}
