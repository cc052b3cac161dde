import type { ModelStatus, ReadyModel, RunResult, Tensors } from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import type { RolloutModels } from '../contracts/rollout-models.ts';
import type { JudgedListener, WindowJob } from '../contracts/window-models.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { Deps } from '../platform/deps.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { inferenceMetrics } from './queue/inference-metrics.ts';
import { Judge } from './queue/judge.ts';
import { countedRun } from './queue/model-counts.ts';
import { ModelHost } from './host/model-host.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { servingOf } from '../models/store/serving.ts';

export type RolloutHostsOptions = {
  /** The host's entry file, `src/hosts/inference-host.ts`. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  readonly deps: Deps;
};

/**
 * Versions under rollout, each in a process of its own with a lower priority: a crash or hang affects only its own
 * windows, and its load delays no other model. The process ends with the rollout.
 *
 * Reports under `rollout-model/<name>@<version>`, and each process under `inference/rollout-<name>@<version>`.
 */
export class RolloutHosts implements RolloutModels, AsyncDisposable {
  readonly #options: RolloutHostsOptions;
  readonly #metrics;
  /** By label. */
  readonly #hosts = new Map<string, ModelHost>();
  readonly #judge: Judge;
  readonly #leaving = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: RolloutHostsOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
    this.#judge = new Judge({ models: this, run: (model, inputs) => this.#run(model, inputs), deps: options.deps });
  }

  want(models: readonly ModelReference[]): void {
    if (this.#stopped) return;
    const wanted = new Map(models.map((model) => [formatModelReference(model), model]));
    for (const [label, host] of this.#hosts) if (!wanted.has(label)) this.#close(label, host);
    for (const [label, model] of wanted) if (!this.#hosts.has(label)) this.#open(label, model);
  }

  ready(model: ModelReference): ReadyModel | undefined {
    const label = formatModelReference(model);
    const ready = this.#hosts.get(label)?.ready(label);
    if (ready === undefined || !judgesWindows(ready.manifest)) return undefined;
    return { ...ready, manifest: ready.manifest };
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#hosts.values()].flatMap((host) => host.statuses());
  }

  judge(model: ModelReference, job: WindowJob): void {
    this.#judge.judge(model, job);
  }

  onJudged(listener: JudgedListener): void {
    this.#judge.onJudged(listener);
  }

  settle(): Promise<void> {
    return this.#judge.settle();
  }

  deadlineMs(model: ModelReference): number {
    const { config } = this.#options;
    const manifest = this.ready(model)?.manifest;
    return manifest === undefined ? config.deadlineMs : servingOf(config, manifest).deadlineMs;
  }

  /** Process id of a version's host; undefined while it has none. */
  hostPidOf(model: ModelReference): number | undefined {
    return this.#hosts.get(formatModelReference(model))?.hostPid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const [label, host] of this.#hosts) this.#close(label, host);
    await Promise.all(this.#leaving);
  }

  #run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    const label = formatModelReference(model);
    return countedRun(this.#metrics, label, async () => {
      const host = this.#hosts.get(label);
      if (host === undefined) throw inferenceFailure('model-not-ready', `Model '${label}' is not under rollout`);
      return host.run(label, inputs, 'watch');
    });
  }

  #open(label: string, model: ModelReference): void {
    const { entry, config, deps } = this.#options;
    const host = new ModelHost({ name: `rollout-${label}`, entry, config, deps });
    this.#hosts.set(label, host);
    host.add(model, `rollout-model/${label}`);
    host.start();
  }

  #close(label: string, host: ModelHost): void {
    this.#hosts.delete(label);
    const left = host[Symbol.asyncDispose]().finally(() => {
      // The same version may be under rollout again by now, with figures of its own.
      if (!this.#hosts.has(label)) this.#forgetFigures(host.name);
      this.#leaving.delete(left);
    });
    this.#leaving.add(left);
  }

  #forgetFigures(host: string): void {
    this.#metrics.andon_inference_host_resident_bytes.remove({ host });
    this.#metrics.andon_inference_queued_runs.remove({ host });
  }
}
