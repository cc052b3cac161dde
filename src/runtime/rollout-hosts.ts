import type { ModelStatus, ReadyModel } from '../contracts/inference.ts';
import type { RolloutModels } from '../contracts/rollout-models.ts';
import { type JudgedListener, notReadyReason, type WindowJob } from '../contracts/window-models.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { servingOf } from '../models/store/serving.ts';
import type { Deps } from '../platform/deps.ts';
import { ModelHost } from './host/model-host.ts';
import { type Place, readyAt } from './host-pool.ts';
import { inferenceMetrics } from './queue/inference-metrics.ts';

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
  readonly #hosts = new Map<string, Place>();
  readonly #leaving = new Set<Promise<void>>();
  #onJudged: JudgedListener = () => undefined;
  #stopped = false;

  constructor(options: RolloutHostsOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  want(models: readonly ModelReference[]): void {
    if (this.#stopped) return;
    const wanted = new Map(models.map((model) => [formatModelReference(model), model]));
    for (const [label, { host }] of this.#hosts) if (!wanted.has(label)) this.#close(label, host);
    for (const [label, model] of wanted) if (!this.#hosts.has(label)) this.#open(label, model);
  }

  ready(model: ModelReference): ReadyModel | undefined {
    return readyAt(this.#hosts.get(formatModelReference(model)));
  }

  statuses(): readonly ModelStatus[] {
    return [...this.#hosts.values()].flatMap(({ host }) => host.statuses());
  }

  judge(model: ModelReference, job: WindowJob): void {
    const place = this.#hosts.get(formatModelReference(model));
    if (place !== undefined) return place.host.jobs.scheduler.judge(place.slot, job);
    this.#onJudged([{ outcome: 'failed', job, reason: notReadyReason(this, model), code: 'model-not-ready' }]);
  }

  onJudged(listener: JudgedListener): void {
    this.#onJudged = listener;
  }

  async settle(): Promise<void> {
    const settled = [...this.#hosts.values()].map(({ host }) => host.jobs.scheduler.settle());
    await Promise.all([...settled, ...this.#leaving]);
  }

  deadlineMs(model: ModelReference): number {
    const { config } = this.#options;
    const manifest = this.ready(model)?.manifest;
    return manifest === undefined ? config.deadlineMs : servingOf(config, manifest).deadlineMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const [label, { host }] of this.#hosts) this.#close(label, host);
    await Promise.all(this.#leaving);
  }

  #open(label: string, model: ModelReference): void {
    const { entry, config, deps } = this.#options;
    const onJudged: JudgedListener = (judgements) => this.#onJudged(judgements);
    const host = new ModelHost({ name: `rollout-${label}`, entry, config, onJudged, deps });
    this.#hosts.set(label, { host, slot: host.add(model, `rollout-model/${label}`) });
    host.start();
  }

  #close(label: string, host: ModelHost): void {
    this.#hosts.delete(label);
    const ended = host[Symbol.asyncDispose]().then(() => host.jobs.scheduler.settle());
    const left = ended.finally(() => {
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
