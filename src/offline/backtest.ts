import type { ReadyModel } from '../contracts/inference.ts';
import { type AlarmMemory, type AlarmRules, applyVerdict, noDelay } from '../domain/alarm/alarm-logic.ts';
import { normalFacts } from '../domain/alarm/alarm.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { DueWindow } from '../domain/window/window-plan.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { type Judgement, notReadyReason, type WindowModels } from '../contracts/window-models.ts';
import { Watch, windowPlan } from '../pipeline/watch.ts';
import type { Deps } from '../platform/deps.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { inferenceHostEntry } from '../platform/entries.ts';
import { RecordedFeed, type RecordedRows } from './recorded-feed.ts';
import type { RecordedRow } from './recording.ts';
import type { WatchBinding } from '../config/watch-binding.ts';
import { loaded } from './model-probe.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';
import { trainingFailure } from '../training/core/training-errors.ts';

/** Windows of one run of the model; the same as in the live agent. */
const WINDOWS_AT_ONCE = 16;
/** Deadline of a run; generous, because no window waits behind a backtest. */
const DEADLINE_MS = 60_000;

/** A recorded row, or a point of the grid, with its judgement. */
export type JudgedRow = {
  readonly timeMs: number;
  /** In the recording's own words; ISO 8601 for a point of the grid. */
  readonly timeText: string;
  readonly row: number;
  readonly label: string;
  /** Undefined for a row that no window ends with: between two hops, or while the first window fills. */
  readonly verdict: Verdict | undefined;
  /** True between two hops: no verdict is due. */
  readonly isBetweenHops: boolean;
  /** Values of the row in the window; NaN if missing. */
  readonly lastRow: Float32Array | undefined;
  /** 1 while the last verdict other than unknown was abnormal; 0 before the first one. */
  readonly prediction: 0 | 1;
  readonly raised: boolean;
  /** True in a state of the plant that suppresses the alarm. It is raised afterwards, if it still is abnormal. */
  readonly suppressed: boolean;
  /** Points of the grid without any data before this row, because the recording has a long gap. */
  readonly offlineRows: number;
};

/** Rows before the range are not judged. */
export type BacktestOrder = RecordedRows & {
  readonly models: AgentConfig['models'];
  readonly model: ModelReference;
  readonly deps: Deps;
};

/**
 * Runs recorded rows through the quality gate, windower, inference host, decision line and alarm logic of the live
 * agent. Causal by construction: a window contains earlier rows only.
 *
 * @throws {OperatingError} 'model-not-ready' (retry), 'model-incompatible' (reject) and what the recording throws.
 */
export async function* backtest(order: BacktestOrder): AsyncGenerator<JudgedRow, void, undefined> {
  const { models, model, deps, recording, range } = order;
  await using inference = new SupervisedInferenceHost({
    entry: inferenceHostEntry,
    config: { ...models, deadlineMs: DEADLINE_MS },
    models: [model],
    deps,
  });
  inference.start();
  const ready = await readyModel(inference, model, deps);
  checkColumns(ready, order.binding);
  const run = new BacktestRun(order, ready, inference);
  for await (const row of recording.rows()) {
    if (row.row > range.last) break;
    run.add(row);
    if (run.full) yield* await run.judge();
  }
  run.end();
  yield* await run.judge();
}

/** A row on its way: its window comes with it or not at all. */
type WaitingRow = { readonly row: RecordedRow; readonly timeMs: number; window: DueWindow | undefined };

class BacktestRun {
  readonly #order: BacktestOrder;
  readonly #steps: number;
  /** Distance of rows that have no times. */
  readonly #rowMs: number;
  readonly #feed: RecordedFeed;
  readonly #watch: Watch;
  readonly #inference: WindowModels;
  readonly #rules: AlarmRules;
  readonly #judgements = new Map<DueWindow, Judgement>();
  #waiting: WaitingRow[] = [];
  #windows = 0;
  #number = 0;
  #memory: AlarmMemory = { facts: normalFacts, delay: noDelay };
  /** True if the active alarm was raised; not while it is suppressed. */
  #isRaised = false;
  #lastMs: number | undefined;
  #prediction: 0 | 1 = 0;
  #hasJudged = false;
  readonly #hopRows: number;

  constructor(order: BacktestOrder, ready: ReadyModel, inference: WindowModels) {
    const { binding, model, pacing } = order;
    const { watch, tags } = binding;
    this.#order = order;
    this.#steps = ready.manifest.window.steps;
    this.#rowMs = watch.window.stepMs === 'scan' ? 1000 : watch.window.stepMs;
    const { stepMs, hopMs } = windowPlan(watch, this.#steps);
    this.#hopRows = stepMs === 'scan' || hopMs === 'scan' ? 1 : Math.max(1, Math.round(hopMs / stepMs));
    this.#rules = {
      onDelayMs: watch.alarm?.onDelayMs ?? 0,
      offDelayMs: watch.alarm?.offDelayMs ?? 0,
    };
    this.#watch = new Watch(
      binding.id,
      { ...watch, model },
      tags.map(({ number }) => number),
    );
    this.#inference = inference;
    inference.onJudged((judgements) => {
      for (const judgement of judgements) this.#judgements.set(judgement.job.window, judgement);
    });
    this.#feed = new RecordedFeed({
      tags,
      pacing,
      plan: windowPlan(watch, this.#steps),
      onDue: (window, row) => this.#due(window, row),
    });
  }

  /** Enough windows wait for one run of the model; rows without a window wait with them. */
  get full(): boolean {
    return this.#windows >= WINDOWS_AT_ONCE || this.#waiting.length >= WINDOWS_AT_ONCE * 8;
  }

  add(row: RecordedRow): void {
    const { pacing, range } = this.#order;
    // If each row is a step, each row has its line in the result, even if only every tenth ends a window.
    if (pacing === 'rows' && row.row >= range.first)
      this.#waiting.push({ row, timeMs: row.timeMs ?? row.row * this.#rowMs, window: undefined });
    this.#feed.add(row);
  }

  end(): void {
    this.#feed.end();
  }

  async judge(): Promise<readonly JudgedRow[]> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const windows = waiting.flatMap(({ window }) => window ?? []);
    // Enqueued in one turn of the event loop, so that none supersedes another.
    for (let from = 0; from < windows.length; from += WINDOWS_AT_ONCE) {
      for (const window of windows.slice(from, from + WINDOWS_AT_ONCE)) this.#enqueue(window);
      await this.#inference.settle();
    }
    this.#windows = 0;
    const judged = waiting.map((row) => this.#conclude(row));
    this.#judgements.clear();
    return judged;
  }

  #due(window: DueWindow, row: RecordedRow): void {
    const { pacing, range } = this.#order;
    if (row.row < range.first) return;
    this.#windows += 1;
    const last = this.#waiting.at(-1);
    if (pacing === 'times') this.#waiting.push({ row, timeMs: window.timestampMs, window });
    else if (last?.row === row) last.window = window;
  }

  #enqueue(window: DueWindow): void {
    const { model, binding, deps } = this.#order;
    this.#inference.judge(model, {
      watch: binding.id,
      number: (this.#number += 1),
      window,
      steps: this.#steps,
      columns: binding.tags.length,
      dueMs: deps.clock.monotonicMs(),
      explained: true,
    });
  }

  #conclude({ row, timeMs, window }: WaitingRow): JudgedRow {
    const judgement = window === undefined ? undefined : this.#judgements.get(window);
    const verdict = judgement === undefined ? undefined : this.#watch.decide(judgement, undefined);
    let raised = false;
    if (verdict !== undefined) {
      this.#hasJudged = true;
      const { memory } = applyVerdict(this.#memory, verdict.verdict, verdict.timestampMs, this.#rules);
      const isActive = memory.facts.active && !row.suppressed;
      raised = isActive && !this.#isRaised;
      this.#isRaised = isActive;
      this.#memory = memory;
      this.#prediction = verdict.verdict === 'abnormal' ? 1 : 0;
    }
    return {
      row: row.row,
      timeMs,
      timeText: this.#order.pacing === 'rows' ? row.timeText : new Date(timeMs).toISOString(),
      label: row.label,
      verdict,
      isBetweenHops: window === undefined && this.#hasJudged && this.#hopRows > 1,
      lastRow: window?.lastRow,
      prediction: this.#prediction,
      raised,
      suppressed: row.suppressed,
      offlineRows: this.#offlineRows(timeMs),
    };
  }

  /** A gap of hours restarts the windows, so none is due in it. */
  #offlineRows(timeMs: number): number {
    const lastMs = this.#lastMs;
    this.#lastMs = timeMs;
    const { pacing, binding } = this.#order;
    const { stepMs } = binding.watch.window;
    if (pacing === 'rows' || stepMs === 'scan' || lastMs === undefined) return 0;
    return Math.max(0, Math.round((timeMs - lastMs) / stepMs / this.#hopRows) - 1);
  }
}

async function readyModel(inference: SupervisedInferenceHost, model: ModelReference, deps: Deps): Promise<ReadyModel> {
  await loaded(inference, deps.clock);
  const ready = inference.ready(model);
  if (ready !== undefined) return ready;
  throw inferenceFailure('model-not-ready', notReadyReason(inference, model));
}

/** Columns in another order would be judged without a complaint, and wrongly. */
function checkColumns({ manifest }: ReadyModel, { id, watch }: WatchBinding): void {
  const columns = manifest.tags.map(({ name }) => name);
  const sameNames = columns.every((name) => watch.tags.includes(name));
  const fits =
    columns.length === watch.tags.length && !(sameNames && columns.some((name, at) => name !== watch.tags[at]));
  if (fits) return;
  throw trainingFailure(
    'model-incompatible',
    `${formatModelReference(manifest)} has the columns ${columns.join(', ')}; watch ${id} binds ${watch.tags.join(', ')}`,
  );
}
