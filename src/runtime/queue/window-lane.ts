import type { ModelStatus, RunResult, ServedModel, Tensor, Tensors } from '../../contracts/inference.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { ModelManifest } from '../../contracts/model-manifest.ts';
import {
  type Judged,
  type JudgedListener,
  type Judgement,
  notReadyText,
  type WindowJob,
} from '../../contracts/window-models.ts';
import { shortestFloat32 } from '../../domain/alarm/verdict-rule.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { scoresOf } from '../../models/checks/window-scores.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { countedRun, inferenceMetrics } from './inference-metrics.ts';
import { estimated, limitOfMode, prepareWindow, unfitReason } from './window-preparation.ts';
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

export type WindowLaneOptions = {
  readonly label: string;
  /** Returns the model as a run would find it; undefined if a run would fail. */
  readonly ready: () => ServedModel | undefined;
  readonly status: () => ModelStatus;
  readonly run: (inputs: Tensors) => Promise<RunResult>;
  readonly onJudged: JudgedListener;
  readonly metrics: Metrics;
};

/** Windows of one watch that wait, all from the same turn. */
type PendingWindows = { turn: number; readonly jobs: WindowJob[] };

/**
 * Windows of one model. They collect until the end of the turn, or until the batch before them has been judged. Then the
 * lane closes: the batch waits for its run, and newer windows no longer supersede it.
 */
export class WindowLane {
  readonly #options: WindowLaneOptions;
  readonly #metrics;
  readonly #open = new Map<string, PendingWindows>();
  /** Superseded windows, in the order in which they fell due. */
  #decided: Judgement[] = [];
  #turn = 0;
  #closed: Promise<void> | undefined;

  constructor(options: WindowLaneOptions) {
    this.#options = options;
    this.#metrics = options.metrics.of(inferenceMetrics);
  }

  add(job: WindowJob): void {
    let pending = this.#open.get(job.watch);
    if (pending === undefined) this.#open.set(job.watch, (pending = { turn: this.#turn, jobs: [] }));
    if (pending.turn !== this.#turn) this.#supersede(pending, pending.jobs.length, job);
    pending.turn = this.#turn;
    pending.jobs.push(job);
    if (pending.jobs.length > WINDOWS_OF_WATCH_MAX) this.#supersede(pending, 1, job);
  }

  /** Windows that are added from now on supersede those that still collect. */
  endTurn(): void {
    this.#turn += 1;
    this.#close();
  }

  /** Resolves when every window is judged. */
  async settle(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed;
  }

  /** Closes the lane, now or after the batch before. */
  #close(): void {
    if (this.#closed !== undefined || (this.#open.size === 0 && this.#decided.length === 0)) return;
    const manifest = this.#manifest();
    const jobs = [...this.#open.values()].flatMap((pending) => pending.jobs.map((job) => lastRows(job, manifest)));
    const decided = this.#decided;
    this.#open.clear();
    this.#decided = [];
    this.#closed = this.#judge(jobs, manifest)
      .then((judgements) => this.#options.onJudged([...decided, ...judgements]))
      .finally(() => {
        this.#closed = undefined;
        this.#close();
      });
  }

  /** Returns the manifest of the version that judges now. */
  #manifest(): ModelManifest | undefined {
    const manifest = this.#options.ready()?.manifest;
    return manifest !== undefined && judgesWindows(manifest) ? manifest : undefined;
  }

  #supersede(pending: PendingWindows, count: number, by: WindowJob): void {
    if (count === 0) return;
    const because = this.#options.status().state === 'ready' ? '' : ` (${this.#notReady()})`;
    for (const job of pending.jobs.splice(0, count)) {
      const newerMs = Math.round(by.window.timestampMs - job.window.timestampMs);
      const reason = `superseded: a window ${newerMs} ms newer was due before this one could run${because}`;
      // Only the verdict waits; the values are released.
      const light = { ...job, window: { ...job.window, values: undefined } };
      this.#decided.push(
        job.window.values !== undefined
          ? { outcome: 'superseded', job: light, reason }
          : { outcome: 'unfit', job: light, reason: job.window.reason },
      );
    }
    if (this.#decided.length >= DECIDED_WAITING_MAX) this.#options.onJudged(this.#decided.splice(0));
  }

  #notReady(): string {
    return notReadyText(this.#options.label, this.#options.status());
  }

  /** @returns One judgement for each job, in their order. */
  async #judge(jobs: readonly WindowJob[], manifest: ModelManifest | undefined): Promise<readonly Judgement[]> {
    const judgements = new Map<WindowJob, Judgement>();
    const fit: WindowJob[] = [];
    for (const job of jobs) {
      const reason = manifest === undefined ? this.#notReady() : incompatibility(manifest, job);
      const unfit = manifest === undefined ? job.window.reason : unfitReason(manifest, job.window);
      const isUnfit =
        job.window.values === undefined || (manifest !== undefined && reason === undefined && unfit !== undefined);
      if (isUnfit) judgements.set(job, { outcome: 'unfit', job, reason: unfit ?? job.window.reason });
      else if (reason !== undefined) judgements.set(job, { outcome: 'failed', job, reason, code: NOT_READY });
      else fit.push(job);
    }
    if (manifest !== undefined && fit.length > 0)
      for (const judgement of await this.#runSplitting(manifest.input, fit)) judgements.set(judgement.job, judgement);
    return jobs.flatMap((job) => judgements.get(job) ?? []);
  }

  /**
   * Splits a batch that the model refuses until the window at fault is found, so that the values of one machine cannot
   * blind the watches of the others.
   */
  async #runSplitting(input: string, jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    try {
      return await this.#runOnce(input, jobs);
    } catch (error) {
      if (jobs.length === 1 || !(error instanceof OperatingError) || error.disposition === 'retry') {
        const failure = { reason: errorMessage(error), code: errorCode(error) };
        return jobs.map((job) => ({ outcome: 'failed', job, ...failure }));
      }
      const half = Math.ceil(jobs.length / 2);
      const first = await this.#runSplitting(input, jobs.slice(0, half));
      return [...first, ...(await this.#runSplitting(input, jobs.slice(half)))];
    }
  }

  async #runOnce(input: string, jobs: readonly WindowJob[]): Promise<readonly Judgement[]> {
    this.#metrics.andon_batch_windows.observe({ model: this.#options.status().name }, jobs.length);
    const windows = tensorOf(jobs, this.#manifest());
    const result = await this.#run({ [input]: windows });
    const manifest = windowsManifest(result);
    const { output, tags, imputation } = manifest;
    const scores = scoresOf(manifest, result.outputs, jobs.length, windows.data as Float32Array);
    const parts =
      output.contributions === undefined
        ? undefined
        : numbersOf(result, output.contributions, jobs.length * tags.length);
    const judged = jobs.map((job, index): Judged => {
      const whole = {
        outcome: 'judged' as const,
        job,
        score: shortestFloat32(scores[index] ?? Number.NaN),
        parts: parts?.slice(index * tags.length, (index + 1) * tags.length),
        manifest,
        judgedBy: result.judgedBy,
      };
      const limit = limitOfMode(manifest, job.window);
      const { missing } = job.window;
      if (missing === undefined) return limit === 1 ? whole : { ...whole, widening: limit };
      const cells = (imputation?.measures.length ?? 0) * tags.length;
      const all = numbersOf(result, imputation?.parts ?? '', cells * jobs.length);
      const own = estimated(manifest, all.slice(index * cells, (index + 1) * cells), missing);
      return { ...whole, ...own, widening: limit * (own.widening ?? 1) };
    });
    return parts === undefined ? this.#explainByOcclusion(judged) : judged;
  }

  #run(inputs: Tensors): Promise<RunResult> {
    return countedRun(this.#metrics, this.#options.label, () => this.#options.run(inputs));
  }

  /** If the explanation fails, the verdict is returned without it. */
  async #explainByOcclusion(judged: readonly Judged[]): Promise<readonly Judged[]> {
    const asked = judged
      .filter(
        ({ job, imputed, manifest, score }) =>
          job.explained && imputed === undefined && deservesExplanation(manifest, score),
      )
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
      const result = await this.#run({ [manifest.input]: input });
      // Another version does not explain the score of this one.
      if (formatModelReference(result.manifest) !== formatModelReference(manifest)) return judged;
      const scores = scoresOf(manifest, result.outputs, asked.length * tags, data);
      const parts = new Map(
        asked.map((one, index) => [
          one,
          occlusionParts(manifest, one.score, scores.slice(index * tags, (index + 1) * tags)),
        ]),
      );
      return judged.map((one) => ({ ...one, parts: parts.get(one) }));
    } catch (error) {
      this.#metrics.andon_explanations_failed_total.inc({ model: manifest.name, code: errorCode(error) });
      return judged;
    }
  }
}

/** Cuts a window to its last rows if a version with shorter windows took over while it waited. */
function lastRows(job: WindowJob, manifest: ModelManifest | undefined): WindowJob {
  const steps = manifest?.window.steps ?? job.steps;
  if (steps >= job.steps) return job;
  const values = job.window.values?.subarray((job.steps - steps) * job.columns);
  return { ...job, steps, window: { ...job.window, values } };
}

/** Returns why a version cannot judge a window; undefined if it can. */
function incompatibility(manifest: ModelManifest, job: WindowJob): string | undefined {
  const { steps } = manifest.window;
  const columns = manifest.tags.length;
  if (columns !== job.columns)
    return `model ${manifest.name}@${manifest.version} sees ${columns} tags, the watch binds ${job.columns}`;
  if (steps !== job.steps)
    return `model ${manifest.name}@${manifest.version} sees ${steps} rows, this window has ${job.steps}`;
  return undefined;
}

/** @throws {OperatingError} 'model-not-ready' if another version ran that judges no windows. */
function windowsManifest({ manifest, judgedBy }: RunResult): ModelManifest {
  if (judgesWindows(manifest)) return manifest;
  throw new OperatingError(NOT_READY, 'retry', `${judgedBy.model}@${judgedBy.version} judges no windows`);
}

/** Returns a tensor [batch, steps, tags], prepared for the version. All windows have the same shape. */
function tensorOf(jobs: readonly WindowJob[], manifest: ModelManifest | undefined): Tensor {
  const { steps, columns } = jobs[0] ?? { steps: 0, columns: 0 };
  const data = new Float32Array(jobs.length * steps * columns);
  for (const [index, { window }] of jobs.entries()) {
    if (window.values === undefined) continue;
    data.set(window.values, index * steps * columns);
    if (manifest !== undefined)
      prepareWindow(manifest, window, data.subarray(index * steps * columns, (index + 1) * steps * columns));
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
