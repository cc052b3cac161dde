import { judgeScore, NEVER_ABNORMAL, type VerdictRule } from '../../domain/alarm/verdict-rule.ts';
import type { FittedModel } from '../core/algorithm.ts';
import { columnOf, concatenated, moments } from '../core/statistics.ts';
import { longestRun, sliceRows, type TrainingRows } from '../core/training-rows.ts';

/** Shifts that are tried, in standard deviations of the tag on the fitted rows. */
const SHIFTS = [1, 2, 4, 8, 16];
/** Rows of a fault, beyond one window. */
const FAULT_ROWS = 60;

/** The smallest shift of one tag that the model reported on held-out rows. */
export type DetectedShift = {
  /** Column of the tag. */
  readonly column: number;
  /** In standard deviations of the tag; undefined if the model did not report the largest shift that was tried. */
  readonly deviations: number | undefined;
  /** The same in the unit of the tag; undefined as above. */
  readonly shift: number | undefined;
};

/**
 * Shifts one tag at a time on held-out normal rows and reports what the model detects. A shift is detected if a row of it
 * is abnormal, upwards and downwards.
 *
 * @returns Undefined if there are too few held-out rows, or if they are in alarm without a fault.
 */
export function detectedShifts(
  fitted: FittedModel,
  rule: VerdictRule,
  before: readonly TrainingRows[],
  after: readonly TrainingRows[],
): readonly DetectedShift[] | undefined {
  const longest = longestRun(after);
  if (longest === undefined || longest.count < fitted.windowRows + 1) return undefined;
  const rows = sliceRows(longest, Math.max(0, longest.count - 2 * fitted.windowRows - FAULT_ROWS), longest.count);
  if (isAbnormal(fitted, rule, rows)) return undefined;
  return Array.from({ length: rows.tags }, (_, column) => {
    const deviation = moments(concatenated(before.map(({ values, tags }) => columnOf(values, tags, column)))).deviation;
    const deviations = SHIFTS.find((size) =>
      [size, -size].every((signed) => isAbnormal(fitted, rule, shifted(rows, column, signed * deviation, fitted))),
    );
    return { column, deviations, shift: deviations === undefined ? undefined : deviations * deviation };
  });
}

function isAbnormal(fitted: FittedModel, rule: VerdictRule, rows: TrainingRows): boolean {
  return fitted.judge(rows).scores.some((score) => judgeScore(score, rule, NEVER_ABNORMAL).verdict === 'abnormal');
}

/** Returns the rows with a fault that begins after one window. */
function shifted(rows: TrainingRows, column: number, shift: number, { windowRows }: FittedModel): TrainingRows {
  const values = rows.values.slice();
  for (let row = Math.min(windowRows, rows.count - 1); row < rows.count; row += 1)
    values[row * rows.tags + column] = (values[row * rows.tags + column] ?? 0) + shift;
  return { ...rows, values };
}
