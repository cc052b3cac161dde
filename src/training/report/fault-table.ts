import { SeededDraws } from '../../domain/seeded-draws.ts';
import { judgeScore, NEVER_ABNORMAL, type VerdictRule } from '../../domain/alarm/verdict-rule.ts';
import type { FittedModel } from '../core/algorithm.ts';
import { columnOf, concatenated, moments } from '../core/statistics.ts';
import { longestRun, sliceRows, type TrainingRows } from '../core/training-rows.ts';

/** Rows of a fault, beyond one window. */
const FAULT_ROWS = 240;
/** Tags that are tried; more would take minutes. */
const TAGS_MAX = 30;
const DELAY_MS = 60_000;
const SEED = 1;

/** What a fault makes of one value of a tag in normal running. */
type Fault = (value: number, tag: FaultyTag, row: number) => number;

type FaultyTag = {
  readonly mean: number;
  readonly deviation: number;
  /** Values of the tag in normal running, and the row at which the fault begins. */
  readonly normal: Float64Array;
  readonly from: number;
  /** Rows of a minute; at least one. */
  readonly minuteRows: number;
  readonly draws: SeededDraws;
};

/** Faults by name. Deviations are those of the tag in the rows of the fit. */
const faults: Readonly<Record<string, Fault>> = {
  '+1 sd': (value, { deviation }) => value + deviation,
  '+2 sd': (value, { deviation }) => value + 2 * deviation,
  '+4 sd': (value, { deviation }) => value + 4 * deviation,
  stuck: (_, { normal, from }) => normal[from] ?? 0,
  noisy: (value, { deviation, draws }) => value + deviation * draws.normal(),
  'a minute late': (_, { normal, minuteRows }, row) => normal[Math.max(row - minuteRows, 0)] ?? 0,
  reversed: (value, { mean }) => 2 * mean - value,
};

export const faultNames = Object.keys(faults);

/** How a model reports one fault of one tag. */
type FaultDetection = {
  readonly fault: string;
  /** Share of the rows after the begin of the fault that are abnormal, 0–1. */
  readonly share: number;
  /** Rows until the first abnormal one; undefined if there is none. */
  readonly delayRows: number | undefined;
};

/** Faults of one tag; `column` is its place among the tags. */
export type TagDetections = { readonly column: number; readonly faults: readonly FaultDetection[] };

/**
 * Injects known faults into held-out normal rows, one tag at a time, and reports what the model detects: what it would not
 * notice is known before it is relied on.
 *
 * @param before Rows of the fit.
 * @param after Held-out rows of normal running.
 * @param stepMs Time between rows; undefined if it is not known, then a minute is 60 rows.
 * @returns For the first `TAGS_MAX` tags. Undefined if there are too few held-out rows, or if they are in alarm without a fault.
 */
export function faultTable(
  fitted: FittedModel,
  rule: VerdictRule,
  {
    before,
    after,
    stepMs,
  }: {
    readonly before: readonly TrainingRows[];
    readonly after: readonly TrainingRows[];
    readonly stepMs: number | undefined;
  },
): readonly TagDetections[] | undefined {
  const longest = longestRun(after);
  if (longest === undefined || longest.count < fitted.windowRows + 1) return undefined;
  const rows = sliceRows(longest, Math.max(0, longest.count - 2 * fitted.windowRows - FAULT_ROWS), longest.count);
  if (abnormalRows(fitted, rule, rows).length > 0) return undefined;
  const from = Math.min(fitted.windowRows, rows.count - 1);
  const minuteRows = Math.max(1, Math.round(DELAY_MS / (stepMs ?? 1000)));
  return Array.from({ length: Math.min(rows.tags, TAGS_MAX) }, (_, column) => {
    const { mean, deviation } = moments(concatenated(before.map(({ values, tags }) => columnOf(values, tags, column))));
    const normal = columnOf(rows.values, rows.tags, column);
    const detections = Object.entries(faults).map(([name, fault]): FaultDetection => {
      const tag = { mean, deviation, normal, from, minuteRows, draws: new SeededDraws(SEED) };
      const values = rows.values.slice();
      for (let row = from; row < rows.count; row += 1)
        values[row * rows.tags + column] = fault(normal[row] ?? 0, tag, row);
      const found = abnormalRows(fitted, rule, { ...rows, values });
      const [first] = found;
      return {
        fault: name,
        share: found.length / (rows.count - from),
        delayRows: first === undefined ? undefined : first - from,
      };
    });
    return { column, faults: detections };
  });
}

/** Returns the numbers of the rows that are abnormal. */
function abnormalRows(fitted: FittedModel, rule: VerdictRule, rows: TrainingRows): readonly number[] {
  let memory = NEVER_ABNORMAL;
  const found: number[] = [];
  for (const [index, score] of fitted.judge(rows).scores.entries()) {
    memory = judgeScore(score, rule, memory);
    if (memory.verdict === 'abnormal') found.push(index + fitted.windowRows - 1);
  }
  return found;
}
