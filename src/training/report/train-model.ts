import { trainingFailure } from '../core/training-errors.ts';
import { invariant } from '../../platform/errors.ts';
import type { MachineRegimes } from '../../domain/model/machine-regimes.ts';
import type { FittedModel } from '../core/algorithm.ts';
import { assessFit, type FitOrder, trainingInput } from './algorithm-choice.ts';
import type { Assessment } from './assessment.ts';
import { type Decision, type DraftFacts, type ModelDraft, modelDraft, windowAt } from './model-draft.ts';
import { centredOnModes, limitedModes } from './mode-centres.ts';
import { chooseRegimes } from './regime-choice.ts';
import { movedRuns } from './regimes.ts';
import { concatenated, indexOfLargest, rounded } from '../core/statistics.ts';
import type { RowSpan } from '../core/training-blocks.ts';
import { checkTrainingRows, countRows, longestRun, type TrainingRows } from '../core/training-rows.ts';

/** An anomaly starts with a score above 1, the limit, and ends at 0.8. */
export const anomalyDecision: Decision = { threshold: 1, abnormal: 'above', deadband: 0.2 };
/** Abnormal if the probability of not being normal is above 0.5; ends at 0.4. */
export const classificationDecision: Decision = { threshold: 0.5, abnormal: 'above', deadband: 0.1 };

export type TrainingOrder = FitOrder &
  DraftFacts & {
    /** Rows known to be abnormal: the window with the highest score among them becomes a golden vector too. */
    readonly faulty?: readonly TrainingRows[];
    /** Column of the tag with the mode of the machine; undefined if it has none. */
    readonly modeColumn?: number | undefined;
    /** True to fit a model on fewer rows than the algorithm advises; the model has a warning. */
    readonly force?: boolean;
    /** Assessment of a trial fit, if there is one already. */
    readonly assessment?: Assessment | undefined;
    /** Origin of the rows, for the manifest. */
    readonly provenance: Readonly<Record<string, unknown>>;
  };

export type TrainedModel = {
  readonly draft: ModelDraft;
  readonly fitted: FittedModel;
  /** Assessment of a fit on the first three quarters, on the last quarter; undefined if there are too few rows. */
  readonly assessment: Assessment | undefined;
  readonly warnings: readonly string[];
  readonly longest: JudgedRun;
};

/** The longest run, with the score of each row that has a full window. */
type JudgedRun = {
  readonly rows: TrainingRows;
  readonly scores: Float64Array;
  /** Time of each row, epoch ms; undefined if the rows have none. */
  readonly timesMs: Float64Array | undefined;
};

/**
 * Fits a model on all rows. A second fit on the first three quarters is assessed on the last quarter.
 *
 * @throws {OperatingError} 'training-too-few-rows' | 'training-too-many-rows' | 'training-too-many-tags' |
 *   'training-value-invalid' | 'training-no-variance' and the errors of the algorithm (reject).
 */
export async function trainModel(given: TrainingOrder): Promise<TrainedModel> {
  const { algorithm, modeColumn, task } = given;
  checkTrainingRows(given.segments, algorithm.rowsMin);
  const centred =
    modeColumn === undefined || task !== 'anomaly'
      ? undefined
      : centredOnModes(given, modeColumn, given.tags[modeColumn]?.name ?? 'the mode');
  const known: TrainingOrder = centred === undefined ? given : { ...given, ...centred };
  const tooFew = rowsWarning(known);
  const choice = centred === undefined && task === 'anomaly' ? await chooseRegimes(algorithm, known) : undefined;
  const order = choice?.regimes === undefined ? known : inRegimes(known, choice.regimes);
  const { segments } = order;
  const fitted = await algorithm.fit(trainingInput(order, 'fitting'));
  const decided = { ...order, decision: { ...order.decision, ...fitted.decision } };
  const assessment =
    choice === undefined ? (order.assessment ?? (await assessFit(algorithm, order))) : choice.assessment;
  const longest = judgedLongest(fitted, order);
  const untested = ['There are too few rows to assess the model on held-out rows.'];
  const warnings = [
    ...(centred?.warnings ?? []),
    ...tooFew,
    ...leftOutWarnings(fitted.leftOut ?? [], order),
    ...fitted.warnings,
    ...(assessment?.warnings ?? untested),
  ];
  const draft = modelDraft(fitted, decided, {
    golden: [...goldenWindows(longest, fitted.windowRows), ...faultyWindows(fitted, order.faulty ?? [])],
    training: {
      ...order.provenance,
      rows: countRows(segments),
      warnings,
      ...(choice?.text === undefined ? {} : { regimes: choice.text }),
      ...detectionOf(assessment, order),
      ...(assessment?.confusion === undefined ? {} : { confusion: assessment.confusion }),
    },
    metrics: assessment?.metrics ?? {},
    modes: centred === undefined ? undefined : limitedModes(centred, fitted),
    regimes: choice?.regimes,
  });
  return { draft, fitted, assessment, warnings, longest };
}

/** Returns the order with the rows of all regimes moved to one reference. */
function inRegimes(order: TrainingOrder, regimes: MachineRegimes): TrainingOrder {
  return { ...order, segments: movedRuns(regimes, order.segments), measured: order.segments };
}

/** @throws {OperatingError} 'training-too-few-rows' (reject) below the advised number without `force`. */
function rowsWarning({ algorithm, segments, force }: TrainingOrder): readonly string[] {
  const rows = countRows(segments);
  const { rowsAdvised = 0 } = algorithm;
  if (rows >= rowsAdvised) return [];
  const found = `${rows} training rows; ${rowsAdvised} or more give limits that can be relied on`;
  if (force !== true) throw trainingFailure('training-too-few-rows', `${found}. --force trains on these`);
  return [`${found}: expect false and missed alarms.`];
}

/** Returns the share of the rows of each known fault that the trial fit reported, by tag and fault, for `model.yaml`. */
function detectionOf(assessment: Assessment | undefined, { tags }: TrainingOrder) {
  if (assessment?.faults === undefined) return {};
  const byTag = assessment.faults.map(({ column, faults }) => [
    tags[column]?.name ?? '',
    Object.fromEntries(faults.map(({ fault, share }) => [fault, rounded(share, 2)])),
  ]);
  return { detection: Object.fromEntries(byTag) };
}

/** Names the rows that the fit did not use, by their times if they have any. */
function leftOutWarnings(spans: readonly RowSpan[], { segments, timesMs }: TrainingOrder): readonly string[] {
  const rows = countRows(segments);
  const times = timesMs === undefined ? undefined : concatenated(timesMs);
  return spans.map(({ from, to }) => {
    const where =
      times === undefined
        ? `Rows ${from} to ${to - 1} of ${rows}`
        : `The rows from ${isoTime(times[from])} to ${isoTime(times[to - 1])}`;
    return `${where} are unlike the others and were left out: a fault or a state of its own. If it is normal running, train on more of it.`;
  });
}

function isoTime(timeMs = 0): string {
  return new Date(timeMs).toISOString().replace('.000Z', 'Z');
}

function judgedLongest(fitted: FittedModel, { segments, timesMs }: TrainingOrder): JudgedRun {
  const rows = longestRun(segments);
  invariant(rows !== undefined, 'there are training rows');
  const { scores } = fitted.judge(rows);
  if (scores.length > 0) return { rows, scores, timesMs: timesMs?.[segments.indexOf(rows)] };
  throw trainingFailure(
    'training-too-few-rows',
    `The longest run without a gap has ${rows.count} rows; a window of the model has ${fitted.windowRows}`,
  );
}

function faultyWindows(fitted: FittedModel, runs: readonly TrainingRows[]): readonly TrainingRows[] {
  const { windowRows } = fitted;
  const judged = runs
    .filter(({ count }) => count >= windowRows)
    .map((rows) => {
      const { scores } = fitted.judge(rows);
      const row = indexOfLargest(scores);
      return { score: scores[row] ?? 0, window: windowAt(rows, row + windowRows - 1, windowRows) };
    });
  const worst = judged[indexOfLargest(judged.map(({ score }) => score))];
  return worst === undefined ? [] : [worst.window];
}

/** The windows with the highest and the lowest score of the longest run, and its last. */
function goldenWindows({ rows, scores }: JudgedRun, steps: number): readonly TrainingRows[] {
  const highest = indexOfLargest(scores);
  const lowest = indexOfLargest(scores.map((score) => -score));
  return [...new Set([highest, lowest, scores.length - 1])].map((row) => windowAt(rows, row + steps - 1, steps));
}
