import type { ReadyModel, RunResult, Tensor, Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { ModelManifest } from '../../contracts/model-manifest.ts';
import {
  type Judged,
  type JudgedListener,
  type Judgement,
  notReadyReason,
  statusOf,
  type WindowJob,
  type WindowModels,
} from '../../contracts/window-models.ts';
import { shortestFloat32 } from '../../domain/alarm/verdict-rule.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { deservesExplanation, occlude, OCCLUSION_ROWS_MAX, occlusionParts } from './occlusion.ts';

/**
 * Windows of one watch that may wait for one run. More fall due in a turn only after a stall; then the newest are
 * judged and the others are superseded.
 */
const WINDOWS_OF_WATCH_MAX = 16;
/** Superseded windows that may wait behind a run to keep the order of their watch; more are reported before it. */
const DECIDED_WAITING_MAX = 1024;

/** Error code of a window whose model was not ready. */
const NOT_READY = 'model-not-ready';

export type JudgeOptions = {
  readonly models: Pick<WindowModels, 'ready' | 'statuses'>;
  readonly run: (model: ModelReference, inputs: Tensors) => Promise<RunResult>;
  readonly deps: Pick<Deps, 'metrics'>;
};

/**
 * Runs due windows on their models. Windows that fall due in the same turn of the event loop share one run per model.
 *
 * Each model has at most one run under way and one batch that waits. Windows of a later turn replace windows of their
 * watch that still wait; these are 'superseded'. Every window gets a judgement.
 */
export class Judge implements Pick<WindowModels, 'judge' | 'onJudged' | 'settle'> {
  readonly #options: JudgeOptions;
  readonly #queues = new Map<string, ModelQueue>();
  #onJudged: JudgedListener = () => undefined;
  #immediate: NodeJS.Immediate | undefined;
  #turn = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  judge(model: ModelReference, job: WindowJob): void {
    const key = formatModelReference(model);
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new ModelQueue(model, this.#options, (judgements) => this.#onJudged(judgements));
      this.#queues.set(key, queue);
    }
    queue.add(job, this.#turn);
    this.#immediate ??= setImmediate(() => this.#flush());
  }

  onJudged(listener: JudgedListener): void {
    this.#onJudged = listener;
  }

  async settle(): Promise<void> {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#flush();
    await Promise.all([...this.#queues.values()].map((queue) => queue.settle()));
  }

  #flush(): void {
    this.#immediate = undefined;
    this.#turn += 1;
    for (const queue of this.#queues.values()) queue.run();
  }
}

/** Windows of one watch that wait, all from the same turn. */
type PendingWindows = { turn: number; readonly jobs: WindowJob[] };

class ModelQueue {
  readonly #model: ModelReference;
  readonly #options: JudgeOptions;
  readonly #onJudged: JudgedListener;
  readonly #metrics;
  readonly #pending = new Map<string, PendingWindows>();
  /** Superseded windows, in the order in which they fell due. */
  #decided: Judgement[] = [];
  #running: Promise<void> | undefined;

  constructor(model: ModelReference, options: JudgeOptions, onJudged: JudgedListener) {
    this.#model = model;
    this.#options = options;
    this.#onJudged = onJudged;
    this.#metrics = options.deps.metrics.of(inferenceMetrics);
  }

  add(job: WindowJob, turn: number): void {
    let pending = this.#pending.get(job.watch);
    if (pending === undefined) this.#pending.set(job.watch, (pending = { turn, jobs: [] }));
    if (pending.turn !== turn) this.#supersede(pending, pending.jobs.length, job);
    pending.turn = turn;
    pending.jobs.push(job);
    if (pending.jobs.length > WINDOWS_OF_WATCH_MAX) this.#supersede(pending, 1, job);
  }

  /** Runs the waiting windows, now or after the run in flight. */
  run(): void {
    if (this.#running !== undefined || (this.#pending.size === 0 && this.#decided.length === 0)) return;
    const steps = this.#options.models.ready(this.#model)?.manifest.window.steps;
    const jobs = [...this.#pending.values()].flatMap(({ jobs: waiting }) => waiting.map((job) => lastRows(job, steps)));
    const decided = this.#decided;
    this.#pending.clear();
    this.#decided = [];
    this.#running = this.#judge(jobs)
      .then((judgements) => this.#onJudged([...decided, ...judgements]))
      .finally(() => {
        this.#running = undefined;
        this.run();
      });
  }

  async settle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #supersede(pending: PendingWindows, count: number, by: WindowJob): void {
    if (count === 0) return;
    const { models } = this.#options;
    const isReady = statusOf(models, this.#model)?.state === 'ready';
    const because = isReady ? '' : ` (${notReadyReason(models, this.#model)})`;
    for (const job of pending.jobs.splice(0, count)) {
      const newerMs = Math.round(by.window.timestampMs - job.window.timestampMs);
      const reason = `superseded: a window ${newerMs} ms newer was due before this one could run${because}`;
      // Only the verdict waits; the values are released.
      const light = { ...job, window: { ...job.window, values: undefined } };
      this.#decided.push(
        job.window.reason === ''
          ? { outcome: 'superseded', job: light, reason }
          : { outcome: 'unfit', job: light, reason: job.window.reason },
      );
    }
    if (this.#decided.length >= DECIDED_WAITING_MAX) this.#onJudged(this.#decided.splice(0));
  }

  /** @returns One judgement for each job, in their order. */
  async #judge(jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    const fit = jobs.filter(({ window }) => window.values !== undefined);
    const judged = fit.length === 0 ? [] : await this.#judgeFit(fit);
    const byJob = new Map(judged.map((judgement) => [judgement.job, judgement]));
    return jobs.map((job) => {
      const judgement = byJob.get(job);
      return judgement ?? { outcome: 'unfit', job, reason: job.window.reason };
    });
  }

  async #judgeFit(jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    const ready = this.#options.models.ready(this.#model);
    if (ready === undefined) {
      const reason = notReadyReason(this.#options.models, this.#model);
      return jobs.map((job) => ({ outcome: 'failed', job, reason, code: NOT_READY }));
    }
    const fitting = jobs.filter((job) => incompatibility(ready.manifest, job) === '');
    const others = jobs.flatMap((job): readonly Judgement[] => {
      const reason = incompatibility(ready.manifest, job);
      return reason === '' ? [] : [{ outcome: 'failed', job, reason, code: NOT_READY }];
    });
    return fitting.length === 0 ? others : [...others, ...(await this.#runSplitting(ready, fitting))];
  }

  /**
   * Splits a batch that the model refuses until the window at fault is found, so that the values of one machine cannot
   * blind the watches of the others.
   */
  async #runSplitting(ready: ReadyModel, jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    try {
      return await this.#runOnce(ready, jobs);
    } catch (error) {
      if (jobs.length === 1 || !(error instanceof OperatingError) || error.disposition === 'retry') {
        const failure = { reason: errorMessage(error), code: errorCode(error) };
        return jobs.map((job) => ({ outcome: 'failed', job, ...failure }));
      }
      const half = Math.ceil(jobs.length / 2);
      const first = await this.#runSplitting(ready, jobs.slice(0, half));
      return [...first, ...(await this.#runSplitting(ready, jobs.slice(half)))];
    }
  }

  async #runOnce(ready: ReadyModel, jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    this.#metrics.andon_batch_windows.observe({ model: this.#model.name }, jobs.length);
    const input = tensorOf(jobs);
    const result = await this.#options.run(this.#model, { [ready.manifest.input]: input });
    const manifest = windowsManifest(result);
    const { output } = manifest;
    const scores = numbersOf(result, output.score, jobs.length);
    const parts =
      output.contributions === undefined
        ? undefined
        : numbersOf(result, output.contributions, jobs.length * manifest.tags.length);
    const columns = manifest.tags.length;
    const judged = jobs.map((job, index) => ({
      outcome: 'judged' as const,
      job,
      score: shortestFloat32(scores[index] ?? Number.NaN),
      parts: parts?.slice(index * columns, (index + 1) * columns),
      manifest,
      judgedBy: result.judgedBy,
    }));
    return parts === undefined ? this.#explainByOcclusion(judged) : judged;
  }

  /** If the explanation fails, the verdict is returned without it. */
  async #explainByOcclusion(judged: readonly Judged[]): Promise<readonly Judged[]> {
    const asked = judged
      .filter(({ job, manifest, score }) => job.explained && deservesExplanation(manifest, score))
      .slice(0, Math.floor(OCCLUSION_ROWS_MAX / (judged[0]?.manifest.tags.length ?? 1)));
    const manifest = asked[0]?.manifest;
    if (manifest === undefined) return judged;
    const tags = manifest.tags.length;
    const cells = tags * manifest.window.steps * tags;
    const data = new Float32Array(asked.length * cells);
    for (const [index, { job }] of asked.entries())
      if (job.window.values !== undefined)
        occlude(job.window.values, manifest, data.subarray(index * cells, (index + 1) * cells));
    try {
      const input: Tensor = { type: 'float32', dims: [asked.length * tags, manifest.window.steps, tags], data };
      const result = await this.#options.run(this.#model, { [manifest.input]: input });
      // Another version does not explain the score of this one.
      if (formatModelReference(result.manifest) !== formatModelReference(manifest)) return judged;
      const scores = numbersOf(result, manifest.output.score, asked.length * tags);
      const parts = new Map(
        asked.map((one, index) => [
          one,
          occlusionParts(manifest, one.score, scores.slice(index * tags, (index + 1) * tags)),
        ]),
      );
      return judged.map((one) => ({ ...one, parts: parts.get(one) }));
    } catch (error) {
      this.#metrics.andon_explanations_failed_total.inc({ model: this.#model.name, code: errorCode(error) });
      return judged;
    }
  }
}

/** Cuts a window to its last rows if a version with shorter windows took over while it waited. */
function lastRows(job: WindowJob, steps = job.steps): WindowJob {
  if (steps >= job.steps) return job;
  const values = job.window.values?.subarray((job.steps - steps) * job.columns);
  return { ...job, steps, window: { ...job.window, values } };
}

function incompatibility(manifest: ModelManifest, job: WindowJob): string {
  const { steps } = manifest.window;
  const columns = manifest.tags.length;
  if (columns !== job.columns)
    return `model ${manifest.name}@${manifest.version} sees ${columns} tags, the watch binds ${job.columns}`;
  if (steps !== job.steps)
    return `model ${manifest.name}@${manifest.version} sees ${steps} rows, this window has ${job.steps}`;
  return '';
}

/** @throws {OperatingError} 'model-not-ready' if another version ran that judges no windows. */
function windowsManifest({ manifest, judgedBy }: RunResult): ModelManifest {
  if (judgesWindows(manifest)) return manifest;
  throw new OperatingError(NOT_READY, 'retry', `${judgedBy.model}@${judgedBy.version} judges no windows`);
}

/** Returns a tensor [batch, steps, tags]. All windows have the same shape. */
function tensorOf(jobs: readonly WindowJob[]): Tensor {
  const { steps, columns } = jobs[0] ?? { steps: 0, columns: 0 };
  const data = new Float32Array(jobs.length * steps * columns);
  for (const [index, { window }] of jobs.entries()) {
    if (window.values !== undefined) data.set(window.values, index * steps * columns);
  }
  return { type: 'float32', dims: [jobs.length, steps, columns], data };
}

/** @throws {OperatingError} 'model-output-invalid' if an output is not `length` finite numbers. */
function numbersOf(result: RunResult, name: string, length: number): readonly number[] {
  const numbers = Array.from<unknown, number>(result.outputs[name]?.data ?? [], Number);
  if (numbers.length === length && numbers.every(Number.isFinite)) return numbers;
  throw new OperatingError(
    'model-output-invalid',
    'reject',
    `Output '${name}' of ${result.judgedBy.model}@${result.judgedBy.version} is not ${length} finite numbers`,
  );
}
