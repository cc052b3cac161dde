import { sliceRows, type TrainingRows } from './training-rows.ts';

/** Contiguous blocks on which limits are checked, each with a fit on the other blocks. */
export const BLOCKS = 8;
/** Rows of real history before a block, so that its first windows are full. */
const LEAD_ROWS = 64;

/** Returns first row and end of a block among all rows, counted run after run. */
export function blockBounds(block: number, total: number): readonly [number, number] {
  return [Math.floor((block * total) / BLOCKS), Math.floor(((block + 1) * total) / BLOCKS)];
}

/** Returns the runs without rows [from, to) of all rows. */
export function outside(segments: readonly TrainingRows[], from: number, to: number): readonly TrainingRows[] {
  return positions(segments).flatMap(({ segment, first }) => {
    const cut = (row: number) => Math.min(Math.max(row - first, 0), segment.count);
    if (cut(from) === cut(to)) return [segment];
    return [sliceRows(segment, 0, cut(from)), sliceRows(segment, cut(to), segment.count)];
  });
}

/** Returns rows [from, to) of all rows, run by run, with a lead-in of `skip` rows that do not count. */
export function inside(
  segments: readonly TrainingRows[],
  from: number,
  to: number,
  warmUpRows: number,
): readonly { readonly rows: TrainingRows; readonly skip: number }[] {
  const leadRows = Math.max(LEAD_ROWS, warmUpRows);
  return positions(segments).flatMap(({ segment, first }) => {
    const begin = Math.max(from - first, 0);
    const end = Math.min(to - first, segment.count);
    if (begin >= end) return [];
    const lead = Math.max(begin - leadRows, 0);
    const skip = Math.max(begin, warmUpRows) - lead;
    return lead + skip >= end ? [] : [{ rows: sliceRows(segment, lead, end), skip }];
  });
}

function positions(segments: readonly TrainingRows[]): readonly { segment: TrainingRows; first: number }[] {
  let first = 0;
  return segments.map((segment) => {
    const position = { segment, first };
    first += segment.count;
    return position;
  });
}
