import { judgeScore, NEVER_ABNORMAL, type ScoreMemory } from '../../domain/alarm/verdict-rule.ts';
import type { FittedModel } from '../core/algorithm.ts';
import type { LabelledRows } from '../core/labelled-rows.ts';
import { concatenated, mean, poissonInterval } from '../core/statistics.ts';
import { averagePrecision, binnedError, classMetrics, naiveProbabilities } from './class-metrics.ts';
import { faultTable, type TagDetections } from './fault-table.ts';
import { type DetectedShift, detectedShifts } from './injected-faults.ts';
import type { DraftFacts } from './model-draft.ts';

/** Above this share of normal running in alarm, an operator would soon stop looking. */
const FALSE_ALARM_RATE_MAX = 0.05;
const DAY_MS = 86_400_000;

/** Share of the qualities within the interval of a regression. */
const INTERVAL_COVERAGE = 0.9;
/** With a smaller share of the abnormal rows reported, the threshold hides them. */
const RECALL_MIN = 0.5;

/** Rows by true class and by the class of the model. */
export type Confusion = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** How good a fit is on rows that it never saw. */
export type Assessment = {
  /** Figures for `metrics:` in model.yaml; names carry their unit. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Reasons for an operator to distrust the model; empty if there are none. */
  readonly warnings: readonly string[];
  /** Classifications only: held-out rows of each class, by the class that the fit gives them. */
  readonly confusion?: Confusion | undefined;
  /** Anomalies only: what the fit detects of shifts that were added to held-out rows; undefined if that is not known. */
  readonly shifts?: readonly DetectedShift[] | undefined;
  /** Anomalies only: what the fit detects of known faults in held-out rows; undefined if that is not known. */
  readonly faults?: readonly TagDetections[] | undefined;
};

export type AssessmentOrder = Pick<DraftFacts, 'task' | 'decision' | 'classes' | 'stepMs'> & {
  /** Rows of the fit: the base of a guess without a model. */
  readonly before: LabelledRows;
  /** Later rows; for anomalies normal running, so every alarm is a false alarm. */
  readonly after: LabelledRows;
};

const assessments = { anomaly: assessAnomaly, regression: assessRegression, classification: assessClassification };

/** @returns Undefined if no held-out row has a full window. */
export function assess(fitted: FittedModel, order: AssessmentOrder): Assessment | undefined {
  return assessments[order.task](fitted, order);
}

function assessAnomaly(
  fitted: FittedModel,
  { decision, before, after, stepMs }: AssessmentOrder,
): Assessment | undefined {
  let rows = 0;
  let alarmed = 0;
  let alarms = 0;
  let scoreMax = Number.NEGATIVE_INFINITY;
  for (const segment of after.segments) {
    let memory: ScoreMemory = NEVER_ABNORMAL;
    for (const score of fitted.judge(segment).scores) {
      const { verdict } = memory;
      memory = judgeScore(score, decision, memory);
      rows += 1;
      if (memory.verdict === 'abnormal') alarmed += 1;
      if (memory.verdict === 'abnormal' && verdict === 'normal') alarms += 1;
      scoreMax = Math.max(scoreMax, score);
    }
  }
  if (rows === 0) return undefined;
  const rate = alarmed / rows;
  const days = stepMs === undefined ? undefined : (rows * stepMs) / DAY_MS;
  const shifts = detectedShifts(fitted, decision, before.segments, after.segments);
  return {
    metrics: {
      held_out_rows: rows,
      held_out_false_alarm_rate: rate,
      held_out_false_alarms: alarms,
      held_out_score_max: scoreMax,
      ...(shifts === undefined
        ? {}
        : { tags_with_detected_shift: shifts.filter(({ shift }) => shift !== undefined).length }),
      ...(days === undefined ? {} : falseAlarms(alarms, days)),
    },
    warnings:
      rate < FALSE_ALARM_RATE_MAX
        ? []
        : [
            `${(rate * 100).toFixed(0)} % of the last quarter of the rows would be in alarm: they differ from the earlier rows.`,
          ],
    shifts,
    faults: faultTable(fitted, decision, { before: before.segments, after: after.segments, stepMs }),
  };
}

/** Returns the false alarms a day that the held-out rows let expect, with the limits of their 95 % interval. */
function falseAlarms(alarms: number, days: number): Readonly<Record<string, number>> {
  const { low, high } = poissonInterval(alarms);
  return {
    held_out_hours: days * 24,
    expected_false_alarms_per_day: alarms / days,
    expected_false_alarms_per_day_low: low / days,
    expected_false_alarms_per_day_high: high / days,
  };
}

/** Returns scores, targets and class probabilities of the rows that have a target. */
function scored(fitted: FittedModel, { segments, targets }: LabelledRows) {
  const scores: number[] = [];
  const known: number[] = [];
  const probabilities: Float64Array[] = [];
  for (const [index, segment] of segments.entries()) {
    const judged = fitted.judge(segment);
    const classes = (judged.probabilities?.length ?? 0) / judged.scores.length;
    for (const [at, score] of judged.scores.entries()) {
      const target = targets?.[index]?.[at + fitted.windowRows - 1] ?? Number.NaN;
      if (!Number.isFinite(target)) continue;
      scores.push(score);
      known.push(target);
      probabilities.push(judged.probabilities?.subarray(at * classes, (at + 1) * classes) ?? new Float64Array());
    }
  }
  return { scores, targets: known, probabilities: concatenated(probabilities) };
}

function knownTargets({ targets }: LabelledRows): readonly number[] {
  return (targets ?? []).flatMap((segment) => Array.from(segment).filter(Number.isFinite));
}

function assessRegression(fitted: FittedModel, { before, after }: AssessmentOrder): Assessment | undefined {
  const { scores, targets } = scored(fitted, after);
  if (scores.length === 0) return undefined;
  const past = knownTargets(before);
  const guess = mean(past);
  const rmse = Math.sqrt(mean(scores.map((score, row) => (score - (targets[row] ?? 0)) ** 2)));
  const naiveRmse = Math.sqrt(mean(targets.map((target) => (target - guess) ** 2)));
  const r2 = naiveRmse === 0 ? 0 : 1 - rmse ** 2 / naiveRmse ** 2;
  const errors = scores.map((score, row) => Math.abs(score - (targets[row] ?? 0)));
  const interval = conformalHalfWidth(errors, INTERVAL_COVERAGE);
  return {
    metrics: {
      held_out_rows: scores.length,
      rmse,
      mae: mean(errors),
      naive_rmse: naiveRmse,
      r2,
      ...(interval === undefined ? {} : { interval_90: interval }),
    },
    warnings: r2 > 0 ? [] : ['On held-out rows the model is not better than the mean.'],
  };
}

/**
 * Returns the half width of an interval around a prediction that contains the quality with the given probability, for rows
 * like the held-out ones. The trial fit had fewer rows than the model, so the interval is rather too wide.
 *
 * @returns Undefined if there are too few errors.
 * @see Lei et al., Distribution-Free Predictive Inference for Regression, JASA 2018, split conformal inference.
 */
function conformalHalfWidth(errors: readonly number[], coverage: number): number | undefined {
  return errors.toSorted((a, b) => a - b)[Math.ceil((errors.length + 1) * coverage) - 1];
}

function assessClassification(
  fitted: FittedModel,
  { before, after, classes, decision }: AssessmentOrder,
): Assessment | undefined {
  const { scores, targets, probabilities } = scored(fitted, after);
  if (scores.length === 0) return undefined;
  const own = classMetrics(probabilities, targets, classes.length);
  const guesses = naiveProbabilities(knownTargets(before), scores.length, classes.length);
  const naive = classMetrics(guesses, targets, classes.length);
  const missing = classes.filter((_, index) => !targets.includes(index));
  const useless = own.accuracy <= naive.accuracy && own.logLoss >= naive.logLoss;
  const isAbnormal = targets.map((target) => target !== 0);
  const { recall, precision } = reported(scores, isAbnormal, decision.threshold);
  return {
    metrics: {
      held_out_rows: scores.length,
      accuracy: own.accuracy,
      naive_accuracy: naive.accuracy,
      macro_f1: own.macroF1,
      log_loss: own.logLoss,
      naive_log_loss: naive.logLoss,
      calibration_error: binnedError(scores, isAbnormal),
      ...(recall === undefined ? {} : { recall, average_precision: averagePrecision(scores, isAbnormal) }),
      ...(precision === undefined ? {} : { precision }),
    },
    confusion: confusionOf(own.confusion, classes),
    warnings: [
      ...(useless ? ['On held-out rows the model is not better than the most common class.'] : []),
      ...(missing.length === 0
        ? []
        : [`The held-out rows have no row of class ${missing.join(', ')}: its detection was not measured.`]),
      ...(recall === undefined || recall >= RECALL_MIN
        ? []
        : [
            `Only ${Math.round(recall * 100)} % of the abnormal held-out rows are above the threshold of ${decision.threshold}: a lower threshold in model.yaml reports more of them, and more false ones.`,
          ]),
    ],
  };
}

/** Names the cells of a confusion matrix, shape [classes, classes]. */
function confusionOf(cells: Int32Array, classes: readonly string[]): Confusion {
  return Object.fromEntries(
    classes.map((truth, row) => [
      truth,
      Object.fromEntries(classes.map((found, column) => [found, cells[row * classes.length + column] ?? 0])),
    ]),
  );
}

/** Returns the share of the abnormal rows that are reported, and the share of the reported rows that are abnormal. */
function reported(scores: readonly number[], isAbnormal: readonly boolean[], threshold: number) {
  const abnormal = isAbnormal.filter(Boolean).length;
  const above = scores.filter((score) => score > threshold).length;
  const hits = scores.filter((score, row) => score > threshold && isAbnormal[row] === true).length;
  return {
    recall: abnormal === 0 ? undefined : hits / abnormal,
    precision: above === 0 ? undefined : hits / above,
  };
}
