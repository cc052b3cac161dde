import { OperatingError } from '../../platform/errors.ts';
import type { MachineRegimes } from '../../domain/model/machine-regimes.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput } from '../core/algorithm.ts';
import { type LabelledRows, splitInTime } from '../core/labelled-rows.ts';
import { concatenated } from '../core/statistics.ts';
import { type RowSpan, withinSpans, withoutSpans } from '../core/training-blocks.ts';
import { countRows } from '../core/training-rows.ts';
import { assess, type Assessment } from './assessment.ts';
import type { DraftFacts } from './model-draft.ts';
import { movedRuns } from './regimes.ts';

/** Share of the rows, from the start, of the trial fit; the other rows assess it. */
const ASSESSED_FROM_SHARE = 0.75;
/** An algorithm replaces the first candidate only if its loss is smaller by this share: less may be chance. */
const BETTER_BY = 0.02;

/** Loss of a task on held-out rows, as in `metrics:` of model.yaml, and the loss of a guess without a model. */
const losses = {
  regression: { own: 'rmse', naive: 'naive_rmse' },
  classification: { own: 'log_loss', naive: 'naive_log_loss' },
} as const;

/** Epoch ms. */
type TimeSpan = { readonly fromMs: number; readonly toMs: number };

export type TrainingStage = 'fitting' | 'trying out';

/** Rows and purpose of a fit. */
export type FitOrder = LabelledRows &
  Pick<DraftFacts, 'task' | 'classes' | 'decision' | 'stepMs'> & {
    readonly windowRows?: number | undefined;
    /** Time of each row of each segment, epoch ms; undefined if the rows have none. */
    readonly timesMs?: readonly Float64Array[] | undefined;
    /** Times that a person marked as normal running, in order, both ends included. Default: none. */
    readonly normalTimes?: readonly TimeSpan[] | undefined;
    readonly onProgress?: ((stage: TrainingStage, share: number) => void) | undefined;
  };

export type AlgorithmChoice = {
  readonly algorithm: TrainingAlgorithm;
  /** Assessment of its trial fit; undefined if there was no choice, or too few rows. */
  readonly assessment?: Assessment | undefined;
  /** Loss of each candidate on the held-out rows, and of a guess without a model; undefined if none was compared. */
  readonly compared?: Readonly<Record<string, number>>;
};

/**
 * Fits each candidate on the first three quarters of the rows and takes the one with the smallest loss on the last. The
 * first candidate is preferred if the difference is small.
 *
 * @param candidates At least one. Without enough rows for a trial fit, the first one is taken.
 */
export async function chooseAlgorithm(
  order: FitOrder,
  [first, ...others]: readonly [TrainingAlgorithm, ...(readonly TrainingAlgorithm[])],
): Promise<AlgorithmChoice> {
  const { task } = order;
  if (task === 'anomaly' || others.length === 0) return { algorithm: first };
  let best = { algorithm: first, assessment: await assessFit(first, order) };
  if (best.assessment === undefined) return best;
  const { own, naive } = losses[task];
  const lossOf = ({ assessment }: typeof best) => assessment?.metrics[own] ?? Number.POSITIVE_INFINITY;
  const compared: Record<string, number> = {
    'no model': best.assessment.metrics[naive] ?? 0,
    [first.name]: lossOf(best),
  };
  const prior = lossOf(best);
  for (const algorithm of others) {
    // oxlint-disable-next-line no-await-in-loop -- one fit at a time uses one core
    const trial = { algorithm, assessment: await assessFit(algorithm, order) };
    compared[algorithm.name] = lossOf(trial);
    if (lossOf(trial) < Math.min(lossOf(best), prior * (1 - BETTER_BY))) best = trial;
  }
  return { ...best, compared };
}

type AssessedRegimes = {
  /** Injected faults are measured in deviations within these regimes. */
  readonly units?: MachineRegimes;
  /** The fit has a centre for each of these. */
  readonly centres?: MachineRegimes;
};

/** @returns Undefined if there are too few rows to fit or to assess. */
export async function assessFit(
  algorithm: TrainingAlgorithm,
  order: FitOrder,
  { units, centres }: AssessedRegimes = {},
): Promise<Assessment | undefined> {
  const { before, after } = splitForAssessment(order);
  if (countRows(before.segments) < algorithm.rowsMin) return undefined;
  try {
    const moved = (regimes: MachineRegimes | undefined) =>
      regimes === undefined ? before : { ...before, segments: movedRuns(regimes, before.segments) };
    const fitted = await algorithm.fit(trainingInput(order, 'trying out', moved(centres)));
    const decision = { ...order.decision, ...fitted.decision };
    return assess(withRegimes(fitted, centres), { ...order, decision, before: moved(units), after });
  } catch (error) {
    // All rows are enough for a fit but the first three quarters are not: no assessment.
    if (error instanceof OperatingError && error.disposition === 'reject') return undefined;
    throw error;
  }
}

/** Returns a fit that moves the rows from the centre of their regime before it judges them. */
function withRegimes(fitted: FittedModel, regimes: MachineRegimes | undefined): FittedModel {
  if (regimes === undefined) return fitted;
  return { ...fitted, judge: (rows) => fitted.judge(movedRuns(regimes, [rows])[0] ?? rows) };
}

/** @param rows All rows of the order by default. */
export function trainingInput(
  order: FitOrder,
  stage: TrainingStage,
  rows: LabelledRows & { readonly normal: readonly RowSpan[] } = { ...order, normal: normalSpans(order) },
): TrainingInput {
  const { task, classes, windowRows, onProgress } = order;
  const { segments, targets, normal } = rows;
  const report = (share: number) => onProgress?.(stage, share);
  return { task, segments, targets, classes, windowRows, normal, seed: 1, onProgress: report };
}

/** Splits the rows in time. Rows that a person marked as normal are all for the fit: they are not a test of it. */
function splitForAssessment(order: FitOrder) {
  const [first, last] = splitInTime(order, ASSESSED_FROM_SHARE);
  const count = countRows(first.segments);
  const spans = normalSpans(order);
  const early = spans.flatMap(({ from, to }) => (from < count ? [{ from, to: Math.min(to, count) }] : []));
  const late = spans.flatMap(({ from, to }) =>
    to > count ? [{ from: Math.max(from, count) - count, to: to - count }] : [],
  );
  if (late.length === 0) return { before: { ...first, normal: early }, after: last };
  const marked = withinSpans(last.segments, late, 0);
  const all = { from: count, to: count + countRows(marked) };
  return {
    before: { ...first, segments: [...first.segments, ...marked], normal: [...early, all] },
    after: { ...last, segments: withoutSpans(last.segments, late).filter((run) => run.count > 0) },
  };
}

/** Returns the rows that a person marked as normal, counted run after run. */
function normalSpans({ timesMs, normalTimes = [] }: Pick<FitOrder, 'timesMs' | 'normalTimes'>): readonly RowSpan[] {
  if (timesMs === undefined || normalTimes.length === 0) return [];
  const spans: { from: number; to: number }[] = [];
  for (const [row, timeMs] of concatenated(timesMs).entries()) {
    if (!normalTimes.some(({ fromMs, toMs }) => fromMs <= timeMs && timeMs <= toMs)) continue;
    const last = spans.at(-1);
    if (last?.to === row) last.to = row + 1;
    else spans.push({ from: row, to: row + 1 });
  }
  return spans;
}
