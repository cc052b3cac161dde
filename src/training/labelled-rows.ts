import type { TrainingRows } from './training-rows.ts';
import { countRows, sliceRows } from './training-rows.ts';

/** Runs without a gap, and what is known of each row; `targets` is undefined where nothing is. */
export type LabelledRows = {
  readonly segments: readonly TrainingRows[];
  readonly targets: readonly Float64Array[] | undefined;
};

/** The first `share` of all rows and the others, never shuffled: a model is tried on what came after. */
export function splitInTime(rows: LabelledRows, share: number): readonly [LabelledRows, LabelledRows] {
  const position = Math.floor(countRows(rows.segments) * share);
  return [part(rows, 0, position), part(rows, position, Number.POSITIVE_INFINITY)];
}

/** Rows [from, to) of all rows, run by run. */
function part({ segments, targets }: LabelledRows, from: number, to: number): LabelledRows {
  const parts: TrainingRows[] = [];
  const known: Float64Array[] = [];
  let first = 0;
  for (const [index, segment] of segments.entries()) {
    const begin = Math.min(Math.max(from - first, 0), segment.count);
    const end = Math.min(Math.max(to - first, 0), segment.count);
    first += segment.count;
    if (begin >= end) continue;
    parts.push(sliceRows(segment, begin, end));
    known.push(targets?.[index]?.subarray(begin, end) ?? new Float64Array());
  }
  return { segments: parts, targets: targets === undefined ? undefined : known };
}

/** Runs of rows of which `wanted` holds, and in which every value is there. Columns before `tags` are values. */
export function runsWhere(
  rows: LabelledRows,
  wanted: (row: Float64Array, target: number | undefined) => boolean,
): LabelledRows {
  const segments: TrainingRows[] = [];
  const targets: Float64Array[] = [];
  for (const [index, segment] of rows.segments.entries()) {
    const known = rows.targets?.[index];
    let from = 0;
    for (let row = 0; row <= segment.count; row += 1) {
      const values = segment.values.subarray(row * segment.tags, (row + 1) * segment.tags);
      if (row < segment.count && wanted(values, known?.[row])) continue;
      if (row > from) {
        segments.push(sliceRows(segment, from, row));
        targets.push(known?.subarray(from, row) ?? new Float64Array());
      }
      from = row + 1;
    }
  }
  return { segments, targets: rows.targets === undefined ? undefined : targets };
}
