import { OperatingError } from '../../platform/errors.ts';
import type { FittedModel, TrainingAlgorithm, TrainingInput, TrainingTask } from '../core/algorithm.ts';
import type { Assessment } from './assessment.ts';
import { assess } from './assessment.ts';
import type { LabelledRows } from '../core/labelled-rows.ts';
import { splitInTime } from '../core/labelled-rows.ts';
import type { Decision, ModelDraft, TagLabel } from './model-draft.ts';
import { modelDraft, windowAt } from './model-draft.ts';
import type { TrainingRows } from '../core/training-rows.ts';
import { checkTrainingRows, countRows } from '../core/training-rows.ts';

/** Share of the rows, the first ones, that a trial fit learns from; it is assessed on the others. */
const TRIAL_SHARE = 0.75;

/** An anomaly is a score above 1, the limit itself, and over at 0.8. */
export const anomalyDecision: Decision = { threshold: 1, abnormal: 'above', deadband: 0.2, unit: '' };
/** A class that is not the normal one is more likely than not; over at 0.4. */
export const classificationDecision: Decision = { threshold: 0.5, abnormal: 'above', deadband: 0.1, unit: '' };

export type TrainingOrder = LabelledRows & {
  readonly algorithm: TrainingAlgorithm;
  readonly task: TrainingTask;
  /** Names of the classes, the normal one first; empty but for a classification. */
  readonly classes: readonly string[];
  readonly tags: readonly TagLabel[];
  readonly stepMs: number | undefined;
  readonly description: string;
  readonly decision: Decision;
  readonly windowRows?: number | undefined;
  /** Rows known not to be normal: the window with the highest score in them becomes a golden vector, too. */
  readonly faulty?: readonly TrainingRows[];
  /** Where the rows come from, for the manifest. */
  readonly provenance: Readonly<Record<string, unknown>>;
  readonly onProgress?: (stage: TrainingStage, share: number) => void;
};

export type TrainingStage = 'fitting' | 'trying out';

export type TrainedModel = {
  readonly draft: ModelDraft;
  readonly fitted: FittedModel;
  /** Of a fit on the first three quarters, on the last; undefined where the rows are too few for it. */
  readonly assessment: Assessment | undefined;
  readonly warnings: readonly string[];
  readonly longest: JudgedRun;
};

/** The longest run, with the score of each row that has a full window. */
type JudgedRun = { readonly rows: TrainingRows; readonly scores: Float64Array };

/**
 * Fits a model on all rows, and says how good it is by a trial on the last quarter of them.
 *
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' | 'training-no-variance' and what else the algorithm throws (reject).
 */
export async function trainModel(order: TrainingOrder): Promise<TrainedModel> {
  const { algorithm, decision, segments } = order;
  checkTrainingRows(segments, algorithm.rowsMin);
  const fitted = await algorithm.fit(trainingInput(order, order, 'fitting'));
  const assessment = await tryOut(order);
  const longest = judgedLongest(fitted, segments);
  const warnings = [...fitted.warnings, ...trialWarnings(assessment)];
  const draft = modelDraft(fitted, {
    ...order,
    algorithm: algorithm.name,
    decision,
    rows: segments,
    golden: [...goldenWindows(longest, fitted.windowRows), ...faultyWindows(fitted, order.faulty ?? [])],
    training: { ...order.provenance, rows: countRows(segments), warnings },
    metrics: assessment?.metrics ?? {},
  });
  return { draft, fitted, assessment, warnings, longest };
}

function trainingInput(order: TrainingOrder, rows: LabelledRows, stage: TrainingStage): TrainingInput {
  const { task, classes, windowRows, onProgress } = order;
  const { segments, targets } = rows;
  return { task, segments, targets, classes, windowRows, seed: 1, onProgress: (share) => onProgress?.(stage, share) };
}

/** @returns Undefined where what is left for the trial is too little to fit on, or to assess. */
async function tryOut(order: TrainingOrder): Promise<Assessment | undefined> {
  const { algorithm } = order;
  const [before, after] = splitInTime(order, TRIAL_SHARE);
  if (countRows(before.segments) < algorithm.rowsMin) return undefined;
  try {
    const fitted = await algorithm.fit(trainingInput(order, before, 'trying out'));
    return assess(fitted, { ...order, before, after });
  } catch (error) {
    // All rows were enough for a fit and the first three quarters are not: there is nothing to say about it.
    if (error instanceof OperatingError && error.disposition === 'reject') return undefined;
    throw error;
  }
}

function trialWarnings(assessment: Assessment | undefined): readonly string[] {
  return assessment?.warnings ?? ['The rows are too few to try the model on rows that it has not seen.'];
}

function judgedLongest(fitted: FittedModel, segments: readonly TrainingRows[]): JudgedRun {
  const rows = segments.reduce((best, segment) => (segment.count > best.count ? segment : best));
  const { scores } = fitted.judge(rows);
  if (scores.length > 0) return { rows, scores };
  throw new OperatingError(
    'training-too-few-rows',
    'reject',
    `The longest run without a gap has ${rows.count} rows; a window of the model has ${fitted.windowRows}`,
  );
}

function faultyWindows(fitted: FittedModel, runs: readonly TrainingRows[]): readonly TrainingRows[] {
  const long = runs.filter(({ count }) => count >= fitted.windowRows);
  if (long.length === 0) return [];
  const judged = long.map((rows) => ({ rows, scores: fitted.judge(rows).scores }));
  const highest = judged.flatMap(({ rows, scores }) => {
    const row = scores.reduce((best, score, at) => (score > (scores[best] ?? 0) ? at : best), 0);
    return { score: scores[row] ?? 0, window: windowAt(rows, row + fitted.windowRows - 1, fitted.windowRows) };
  });
  return [highest.reduce((best, next) => (next.score > best.score ? next : best)).window];
}

/** The windows with the highest and the lowest score of the longest run, and its last. */
function goldenWindows({ rows, scores }: JudgedRun, steps: number): readonly TrainingRows[] {
  const extreme = (better: (score: number, best: number) => boolean) =>
    scores.reduce((best, score, row) => (better(score, scores[best] ?? 0) ? row : best), 0);
  const highest = extreme((score, best) => score > best);
  const lowest = extreme((score, best) => score < best);
  return [...new Set([highest, lowest, scores.length - 1])].map((row) => windowAt(rows, row + steps - 1, steps));
}
