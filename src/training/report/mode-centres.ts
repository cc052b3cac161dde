import { type MachineModes, modeOf, moveToReference } from '../../domain/model/machine-modes.ts';
import type { FittedModel } from '../core/algorithm.ts';
import { quantile, rounded } from '../core/statistics.ts';
import { trainingFailure } from '../core/training-errors.ts';
import { sliceRows, type TrainingRows } from '../core/training-rows.ts';

/** Fewest rows of a mode that is learned. */
const MODE_ROWS_MIN = 200;
const MODES_MAX = 100;
/** Quantile of the scores that is compared between modes, and the largest factor of a threshold that results. */
const LIMIT_QUANTILE = 0.95;
const LIMIT_FACTOR_MAX = 3;

/** Rows of known modes, moved to one centre. */
export type CentredRows = {
  readonly modes: MachineModes;
  readonly segments: readonly TrainingRows[];
  readonly timesMs: readonly Float64Array[] | undefined;
  /** Rows of each segment before they were moved. */
  readonly measured: readonly TrainingRows[];
  readonly warnings: readonly string[];
};

type Rows = { readonly segments: readonly TrainingRows[]; readonly timesMs?: readonly Float64Array[] | undefined };

/**
 * Moves the rows of each mode to a common centre, so that one model learns how the tags move together in all modes. Rows of a
 * mode with too few rows are left out.
 *
 * @param column Column of the tag with the mode.
 * @throws {OperatingError} 'training-value-invalid' | 'training-too-few-rows' (reject).
 */
export function centredOnModes(rows: Rows, column: number, tag: string): CentredRows {
  const counts = countsOf(rows.segments, column, tag);
  const known = [...counts].filter(([, count]) => count >= MODE_ROWS_MIN).map(([value]) => value);
  const rare = [...counts].filter(([, count]) => count < MODE_ROWS_MIN);
  if (known.length === 0)
    throw trainingFailure(
      'training-too-few-rows',
      `No value of ${tag} has ${MODE_ROWS_MIN} rows: a mode needs as many for its centre and limit`,
    );
  const parts = runsOfModes(rows, column, new Set(known));
  const means = (value?: number) => meansOf(parts.segments, column, value);
  const modes = {
    column,
    reference: means(),
    values: known.toSorted((a, b) => a - b).map((value) => ({ value, centre: means(value), limit: 1 })),
  };
  const segments = parts.segments.map((segment) => {
    const values = segment.values.slice();
    moveToReference(modes, values);
    return { ...segment, values };
  });
  const warnings = rare.map(
    ([value, count]) =>
      `${tag} is ${value} in ${count} rows only, ${MODE_ROWS_MIN} are needed: the mode was not learned, and its verdicts are unknown.`,
  );
  return { modes, segments, timesMs: parts.timesMs, measured: parts.segments, warnings };
}

/** Returns the modes with the factor of the threshold of each: a mode whose rows scatter more has a wider limit. */
export function limitedModes({ modes, segments, measured }: CentredRows, fitted: FittedModel): MachineModes {
  const scores = new Map<number, number[]>(modes.values.map(({ value }) => [value, []]));
  for (const [index, segment] of segments.entries()) {
    if (segment.count < fitted.windowRows) continue;
    const { values, tags } = measured[index] ?? segment;
    for (const [at, score] of fitted.judge(segment).scores.entries()) {
      const value = values[(at + fitted.windowRows - 1) * tags + modes.column] ?? Number.NaN;
      scores.get(modeOf(modes, value)?.value ?? Number.NaN)?.push(score);
    }
  }
  const high = (list: readonly number[]) => (list.length === 0 ? 0 : quantile(Float64Array.from(list), LIMIT_QUANTILE));
  const all = high([...scores.values()].flat());
  const factor = (value: number) => (all > 0 ? high(scores.get(value) ?? []) / all : 1);
  return {
    ...modes,
    reference: modes.reference.map((mean) => rounded(mean, 7)),
    values: modes.values.map(({ value, centre }) => ({
      value,
      centre: centre.map((mean) => rounded(mean, 7)),
      limit: rounded(Math.min(Math.max(factor(value), 1), LIMIT_FACTOR_MAX), 4),
    })),
  };
}

function countsOf(segments: readonly TrainingRows[], column: number, tag: string): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const { values, tags } of segments)
    for (let cell = column; cell < values.length; cell += tags) {
      const value = values[cell] ?? Number.NaN;
      counts.set(value, (counts.get(value) ?? 0) + 1);
      if (counts.size > MODES_MAX)
        throw trainingFailure(
          'training-value-invalid',
          `${tag} has more than ${MODES_MAX} different values: a mode is a tag with few, such as a recipe`,
        );
    }
  return counts;
}

/** Returns the runs of rows whose mode is known. */
function runsOfModes({ segments, timesMs }: Rows, column: number, known: ReadonlySet<number>) {
  const runs: TrainingRows[] = [];
  const times: Float64Array[] = [];
  for (const [index, segment] of segments.entries()) {
    const isKnown = (row: number) =>
      row < segment.count && known.has(segment.values[row * segment.tags + column] ?? Number.NaN);
    let from: number | undefined;
    for (let row = 0; row <= segment.count; row += 1) {
      if (isKnown(row)) from ??= row;
      else if (from !== undefined) {
        runs.push(sliceRows(segment, from, row));
        times.push(timesMs?.[index]?.subarray(from, row) ?? new Float64Array());
        from = undefined;
      }
    }
  }
  return { segments: runs, timesMs: timesMs === undefined ? undefined : times };
}

/** Mean of each tag, of one mode or of all rows. */
function meansOf(segments: readonly TrainingRows[], column: number, mode?: number): readonly number[] {
  const tags = segments[0]?.tags ?? 0;
  const sums = new Float64Array(tags);
  let count = 0;
  for (const { values } of segments)
    for (let cell = 0; cell < values.length; cell += tags) {
      if (mode !== undefined && values[cell + column] !== mode) continue;
      count += 1;
      for (let tag = 0; tag < tags; tag += 1) sums[tag] = (sums[tag] ?? 0) + (values[cell + tag] ?? 0);
    }
  return Array.from(sums, (sum) => sum / count);
}
