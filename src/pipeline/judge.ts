import type { ModelReference } from '../domain/model/model-reference.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { ModelStatus, ReadyModel, RunResult, Tensor } from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { WindowModels } from '../contracts/rollout-models.ts';
import { shortestFloat32 } from '../domain/alarm/verdict-rule.ts';
import type { JudgedBy } from '../domain/alarm/verdict.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage, OperatingError } from '../platform/errors.ts';
import { deservesExplanation, occlude, OCCLUSION_ROWS_MAX, occlusionParts } from './occlusion.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';

/**
 * Windows of one watch that may wait for one run. More fall due in a turn only after a stall; then the newest are
 * judged, the others superseded.
 */
const WINDOWS_OF_WATCH_MAX = 16;
/** Decided windows that wait behind a run to keep the order of their watch; past it they go ahead of it. */
const DECIDED_WAITING_MAX = 1024;

/** Why a window failed that its model could not be asked about. */
const NOT_READY = 'model-not-ready';

/** A due window on its way to its verdict. */
export type Ticket = {
  readonly watch: string;
  /** Told apart by it from the other windows of its watch. */
  readonly number: number;
  readonly window: DueWindow;
  /** Shape of the window's values. */
  readonly steps: number;
  readonly columns: number;
  /** Monotonic time at which it fell due. */
  readonly dueMs: number;
};

export type Judged = {
  readonly outcome: 'judged';
  readonly ticket: Ticket;
  readonly score: number;
  /** What the model says of each tag, or what hiding the tag changed; undefined where neither is known. */
  readonly parts: readonly number[] | undefined;
  readonly manifest: ModelManifest;
  readonly judgedBy: JudgedBy;
};

export type Judgement =
  | Judged
  | {
      /** 'unfit': values missing; 'superseded': a newer window took its place. */
      readonly outcome: 'unfit' | 'superseded';
      readonly ticket: Ticket;
      readonly reason: string;
    }
  | {
      /** The model or its host. */
      readonly outcome: 'failed';
      readonly ticket: Ticket;
      readonly reason: string;
      /** Of the error. */
      readonly code: string;
    };

export type JudgeOptions = {
  readonly inference: WindowModels;
  /** Whether abnormal windows of a model that explains nothing are explained by occlusion: further runs of it. */
  readonly explains: (model: ModelReference) => boolean;
  /** Gets every ticket exactly once, those of a watch in order of time. Must not throw. */
  readonly onJudged: (judgements: readonly Judgement[]) => void;
  readonly deps: Deps;
};

/**
 * Brings due windows to their models: those that fall due in the same turn of the event loop go as one run per model.
 *
 * One run per model is under way, and one batch waits. Windows of a later turn take the place of those of their watch
 * that still wait, which are 'superseded'. Nothing is dropped without a judgement.
 */
export class Judge {
  readonly #options: JudgeOptions;
  readonly #queues = new Map<string, ModelQueue>();
  #immediate: NodeJS.Immediate | undefined;
  #turn = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  enqueue(model: ModelReference, ticket: Ticket): void {
    const key = formatModelReference(model);
    let queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, (queue = new ModelQueue(model, this.#options)));
    queue.add(ticket, this.#turn);
    this.#immediate ??= setImmediate(() => this.#flush());
  }

  /** Resolves when everything that was enqueued has been judged. */
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

/** What waits of one watch: windows that fell due in one and the same turn. */
type Lot = { turn: number; readonly tickets: Ticket[] };

class ModelQueue {
  readonly #model: ModelReference;
  readonly #options: JudgeOptions;
  readonly #metrics;
  readonly #lots = new Map<string, Lot>();
  /** Superseded while they waited, in the order in which they fell due. */
  #decided: Judgement[] = [];
  #running: Promise<void> | undefined;

  constructor(model: ModelReference, options: JudgeOptions) {
    this.#model = model;
    this.#options = options;
    this.#metrics = options.deps.metrics.of(pipelineMetrics);
  }

  add(ticket: Ticket, turn: number): void {
    let lot = this.#lots.get(ticket.watch);
    if (lot === undefined) this.#lots.set(ticket.watch, (lot = { turn, tickets: [] }));
    if (lot.turn !== turn) this.#supersede(lot, lot.tickets.length, ticket);
    lot.turn = turn;
    lot.tickets.push(ticket);
    if (lot.tickets.length > WINDOWS_OF_WATCH_MAX) this.#supersede(lot, 1, ticket);
  }

  /** Runs what waits unless a run is under way, which then runs it at its end. */
  run(): void {
    if (this.#running !== undefined || (this.#lots.size === 0 && this.#decided.length === 0)) return;
    const steps = this.#options.inference.ready(this.#model)?.manifest.window.steps;
    const tickets = [...this.#lots.values()].flatMap(({ tickets: waiting }) =>
      waiting.map((ticket) => lastRows(ticket, steps)),
    );
    const decided = this.#decided;
    this.#lots.clear();
    this.#decided = [];
    this.#running = this.#judge(tickets)
      .then((judgements) => this.#options.onJudged([...decided, ...judgements]))
      .finally(() => {
        this.#running = undefined;
        this.run();
      });
  }

  async settle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #supersede(lot: Lot, count: number, by: Ticket): void {
    if (count === 0) return;
    const { inference } = this.#options;
    const isReady = statusOf(inference, this.#model)?.state === 'ready';
    const because = isReady ? '' : ` (${notReadyReason(inference, this.#model)})`;
    for (const ticket of lot.tickets.splice(0, count)) {
      const newerMs = Math.round(by.window.timestampMs - ticket.window.timestampMs);
      const reason = `superseded: a window ${newerMs} ms newer was due before this one could run${because}`;
      // Its values are let go; only the verdict about it waits.
      const light = { ...ticket, window: { ...ticket.window, values: undefined } };
      this.#decided.push(
        ticket.window.reason === ''
          ? { outcome: 'superseded', ticket: light, reason }
          : { outcome: 'unfit', ticket: light, reason: ticket.window.reason },
      );
    }
    if (this.#decided.length >= DECIDED_WAITING_MAX) this.#options.onJudged(this.#decided.splice(0));
  }

  /** @returns One judgement for each ticket, in their order. */
  async #judge(tickets: readonly Ticket[]): Promise<readonly Judgement[]> {
    const fit = tickets.filter(({ window }) => window.values !== undefined);
    const judged = fit.length === 0 ? [] : await this.#judgeFit(fit);
    const byTicket = new Map(judged.map((judgement) => [judgement.ticket, judgement]));
    return tickets.map((ticket) => {
      const judgement = byTicket.get(ticket);
      return judgement ?? { outcome: 'unfit', ticket, reason: ticket.window.reason };
    });
  }

  async #judgeFit(tickets: readonly Ticket[]): Promise<readonly Judgement[]> {
    const ready = this.#options.inference.ready(this.#model);
    if (ready === undefined) {
      const reason = notReadyReason(this.#options.inference, this.#model);
      return tickets.map((ticket) => ({ outcome: 'failed', ticket, reason, code: NOT_READY }));
    }
    const fitting = tickets.filter((ticket) => incompatibility(ready.manifest, ticket) === '');
    const others = tickets.flatMap((ticket): readonly Judgement[] => {
      const reason = incompatibility(ready.manifest, ticket);
      return reason === '' ? [] : [{ outcome: 'failed', ticket, reason, code: NOT_READY }];
    });
    return fitting.length === 0 ? others : [...others, ...(await this.#runSplitting(ready, fitting))];
  }

  /**
   * A batch that the model refuses is split until the window is found that is to blame, so that one machine's values
   * cannot blind the watches of all the others.
   */
  async #runSplitting(ready: ReadyModel, tickets: readonly Ticket[]): Promise<readonly Judgement[]> {
    try {
      return await this.#runOnce(ready, tickets);
    } catch (error) {
      if (tickets.length === 1 || !(error instanceof OperatingError) || error.disposition === 'retry') {
        const failure = { reason: errorMessage(error), code: errorCode(error) };
        return tickets.map((ticket) => ({ outcome: 'failed', ticket, ...failure }));
      }
      const half = Math.ceil(tickets.length / 2);
      const first = await this.#runSplitting(ready, tickets.slice(0, half));
      return [...first, ...(await this.#runSplitting(ready, tickets.slice(half)))];
    }
  }

  async #runOnce(ready: ReadyModel, tickets: readonly Ticket[]): Promise<readonly Judgement[]> {
    this.#metrics.andon_batch_windows.observe({ model: this.#model.name }, tickets.length);
    const input = tensorOf(tickets);
    const result = await this.#options.inference.run(this.#model, { [ready.manifest.input]: input });
    const manifest = windowsManifest(result);
    const { output } = manifest;
    const scores = numbersOf(result, output.score, tickets.length);
    const parts =
      output.contributions === undefined
        ? undefined
        : numbersOf(result, output.contributions, tickets.length * manifest.tags.length);
    const columns = manifest.tags.length;
    const judged = tickets.map((ticket, index) => ({
      outcome: 'judged' as const,
      ticket,
      score: shortestFloat32(scores[index] ?? Number.NaN),
      parts: parts?.slice(index * columns, (index + 1) * columns),
      manifest,
      judgedBy: result.judgedBy,
    }));
    return parts === undefined && this.#options.explains(this.#model) ? this.#explainByOcclusion(judged) : judged;
  }

  /** A verdict is worth more than its explanation: where that fails, the verdict goes without. */
  async #explainByOcclusion(judged: readonly Judged[]): Promise<readonly Judged[]> {
    const asked = judged
      .filter(({ manifest, score }) => deservesExplanation(manifest, score))
      .slice(0, Math.floor(OCCLUSION_ROWS_MAX / (judged[0]?.manifest.tags.length ?? 1)));
    const manifest = asked[0]?.manifest;
    if (manifest === undefined) return judged;
    const tags = manifest.tags.length;
    const cells = tags * manifest.window.steps * tags;
    const data = new Float32Array(asked.length * cells);
    for (const [index, { ticket }] of asked.entries())
      if (ticket.window.values !== undefined)
        occlude(ticket.window.values, manifest, data.subarray(index * cells, (index + 1) * cells));
    try {
      const input: Tensor = { type: 'float32', dims: [asked.length * tags, manifest.window.steps, tags], data };
      const result = await this.#options.inference.run(this.#model, { [manifest.input]: input });
      // What another model makes of a hidden tag explains nothing of this one's score.
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

/** Why a model cannot run, for an operator. */
export function notReadyReason(inference: Pick<WindowModels, 'statuses'>, model: ModelReference): string {
  const status = statusOf(inference, model);
  const why =
    status === undefined ? 'not loaded' : `${status.state}${status.reason === '' ? '' : `, ${status.reason}`}`;
  return `model ${formatModelReference(model)} is not ready: ${why}`;
}

function statusOf(inference: Pick<WindowModels, 'statuses'>, model: ModelReference): ModelStatus | undefined {
  return inference
    .statuses()
    .find(({ name, version }) => name === model.name && (model.version === undefined || version === model.version));
}

/** A version that sees shorter windows may have taken over while it waited: its last rows are what that would have got. */
function lastRows(ticket: Ticket, steps = ticket.steps): Ticket {
  if (steps >= ticket.steps) return ticket;
  const values = ticket.window.values?.subarray((ticket.steps - steps) * ticket.columns);
  return { ...ticket, steps, window: { ...ticket.window, values } };
}

function incompatibility(manifest: ModelManifest, ticket: Ticket): string {
  const { steps } = manifest.window;
  const columns = manifest.tags.length;
  if (columns !== ticket.columns)
    return `model ${manifest.name}@${manifest.version} sees ${columns} tags, the watch binds ${ticket.columns}`;
  if (steps !== ticket.steps)
    return `model ${manifest.name}@${manifest.version} sees ${steps} rows, this window has ${ticket.steps}`;
  return '';
}

/** @throws {OperatingError} 'model-not-ready' where what ran in the meantime judges no windows. */
function windowsManifest({ manifest, judgedBy }: RunResult): ModelManifest {
  if (judgesWindows(manifest)) return manifest;
  throw new OperatingError(NOT_READY, 'retry', `${judgedBy.model}@${judgedBy.version} judges no windows`);
}

/** Shape [batch, steps, tags]. Windows in it have the same shape. */
function tensorOf(tickets: readonly Ticket[]): Tensor {
  const { steps, columns } = tickets[0] ?? { steps: 0, columns: 0 };
  const data = new Float32Array(tickets.length * steps * columns);
  for (const [index, { window }] of tickets.entries()) {
    if (window.values !== undefined) data.set(window.values, index * steps * columns);
  }
  return { type: 'float32', dims: [tickets.length, steps, columns], data };
}

/** @throws {OperatingError} 'model-output-invalid' where an output is not `length` finite numbers. */
function numbersOf(result: RunResult, name: string, length: number): readonly number[] {
  const numbers = Array.from<unknown, number>(result.outputs[name]?.data ?? [], Number);
  if (numbers.length === length && numbers.every(Number.isFinite)) return numbers;
  throw new OperatingError(
    'model-output-invalid',
    'reject',
    `Output '${name}' of ${result.judgedBy.model}@${result.judgedBy.version} is not ${length} finite numbers`,
  );
}
