import type { HostOptions } from './host/host-process.ts';
import type { ModelStatus, ReadyModel, RunResult, Tensors } from '../contracts/inference.ts';
import type { JudgedListener, WindowJob, WindowModels } from '../contracts/window-models.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { ModelDirectory, type StoredModel } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { hostOf, WATCH_HOST } from '../models/store/serving.ts';
import { invariant } from '../platform/errors.ts';
import { sweepPrivateFolders } from '../platform/private-folder.ts';
import { ClientHosts } from './client-hosts.ts';
import type { Incompatibilities, ModelSlot } from './host/model-slot.ts';
import { HostPool, type Place, readyAt } from './host-pool.ts';
import { countedRun, inferenceMetrics } from './queue/inference-metrics.ts';
import { FallbackModel, type HeldModel } from './remote/fallback-model.ts';

export type SupervisedInferenceHostOptions = HostOptions & {
  /**
   * Models of the watches, loaded at the start in this order; duplicates are loaded once. Undefined in a process that
   * judges for no watch.
   */
  readonly models?: readonly ModelReference[];
  /** Returns why a version does not fit the watches that name no version; it does not take over then. */
  readonly incompatibilities?: Incompatibilities;
  /** Models are looked up and loaded after this; the processes start before. */
  readonly loadsAfter?: Promise<void>;
  /** Returns whether a model of `models.serve` is loaded here; by default all are. */
  readonly serves?: (name: string) => boolean;
};

/**
 * Models in supervised child processes: one for the watches, one for clients, and others named by the configuration. The
 * agent holds the models of its watches in one instance, the model server those of clients in another. ONNX Runtime is
 * never loaded in the process of the instance itself.
 *
 * A client's run never enters a process that judges for a watch, unless `models.limits.<name>.host` puts both in one. A
 * watch's model is loaded a second time for clients, at their first request or at the start if `models.serve` names it.
 * So a slow or crashing run of a client delays and loses no window.
 */
export class SupervisedInferenceHost implements WindowModels, AsyncDisposable {
  /** Models of clients. */
  readonly clients: ClientHosts;
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  readonly #metrics;
  readonly #pool: HostPool;
  readonly #incompatibilities: Incompatibilities | undefined;
  /** Models of the watches and their fallbacks, by label. */
  readonly #watched = new Map<string, Place>();
  /** Labels that a watch names. */
  #named: ReadonlySet<string> = new Set();
  /** Number of remote models that each fallback replaces. */
  readonly #fallbacks = new Map<string, number>();
  #onJudged: JudgedListener = () => undefined;

  constructor(options: SupervisedInferenceHostOptions) {
    const { config, deps, models, incompatibilities } = options;
    this.#config = config;
    this.#incompatibilities = incompatibilities;
    this.#directory = ModelDirectory.of(config);
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.#pool = new HostPool({
      ...options,
      fallbackFor: (slot, stored) => this.#fallbackFor(slot, stored),
      onJudged: (judgements) => this.#onJudged(judgements),
    });
    this.clients = new ClientHosts({ ...options, pool: this.#pool, watched: this.#watched });
    if (models !== undefined) this.#pool.named(WATCH_HOST);
    this.#watch(models ?? []);
  }

  /** Starts the hosts and loads the models. Returns immediately; reports health under `inference` and `model/<name>`. */
  start(): void {
    void sweepPrivateFolders();
    this.#pool.start();
    void this.clients.loadConfigured();
  }

  /** Process id of a host; undefined while it is being replaced. Default: the host of the watches. */
  hostPid(name = WATCH_HOST): number | undefined {
    return this.#pool.hosts.find((host) => host.name === name)?.hostPid;
  }

  /**
   * Reads the active versions again and retries models that failed or are quarantined. A new version takes over after it has
   * passed its checks in a fresh process; until then, and if it fails, the previous version keeps running.
   *
   * @param models Models of the watches from now on: new ones are loaded, and unused ones are unloaded.
   */
  reload(models?: readonly ModelReference[]): void {
    for (const host of this.#pool.hosts) for (const slot of host.slots) host.reload(slot);
    if (models !== undefined) this.#watch(models);
  }

  ready(model: ModelReference): ReadyModel | undefined {
    return readyAt(this.#watched.get(formatModelReference(model)));
  }

  statuses(): readonly ModelStatus[] {
    return this.#pool.statuses();
  }

  /** Monotonic time of the last answer of the hosts to a ping; the watchdog is fed only while it advances. */
  lastTickMs(): number {
    return Math.min(...this.#pool.hosts.map((host) => host.lastTickMs()));
  }

  judge(model: ModelReference, job: WindowJob): void {
    const place = this.#watched.get(formatModelReference(model));
    invariant(place !== undefined, `watch ${job.watch} uses a model that is loaded for watches`);
    place.host.jobs.scheduler.judge(place.slot, job);
  }

  onJudged(listener: JudgedListener): void {
    this.#onJudged = listener;
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pool.hosts.map(({ jobs }) => jobs.scheduler.settle()));
  }

  /** Runs a model of the watches: as `ClientInference.run`, but before all clients, and every float must be finite. */
  run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    const label = formatModelReference(model);
    return countedRun(this.#metrics, this.#watched.has(label) ? label : '', async () => {
      const place = this.#watched.get(label);
      if (place === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not loaded`);
      return place.host.jobs.run(place.slot, inputs, 'watch');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #watch(models: readonly ModelReference[]): void {
    const before = this.#named;
    this.#named = new Set(models.map(formatModelReference));
    for (const model of models) this.#add(model, this.#incompatibilities);
    for (const label of before) this.#removeUnused(label);
  }

  #add(model: ModelReference, incompatibilities?: Incompatibilities): Place {
    const host = this.#pool.named(hostOf(this.#config, model.name, 'watch'));
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
    this.#fallbacks.set(label, (this.#fallbacks.get(label) ?? 0) + 1);
    const { host, slot } = this.#watched.get(label) ?? this.#add(model);
    return {
      ready: () => this.ready(model),
      run: (inputs) => host.jobs.run(slot, inputs, 'watch'),
      release: () => this.#release(label),
    };
  }

  #release(label: string): void {
    const holders = this.#fallbacks.get(label) ?? 0;
    if (holders > 1) this.#fallbacks.set(label, holders - 1);
    else this.#fallbacks.delete(label);
    this.#removeUnused(label);
  }

  #removeUnused(label: string): void {
    if (this.#named.has(label) || this.#fallbacks.has(label)) return;
    const place = this.#watched.get(label);
    this.#watched.delete(label);
    if (this.#pool.isRunning) void place?.host.remove(label);
  }
}
