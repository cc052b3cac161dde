import { countRows, sliceRows, type TrainingRows } from './training-rows.ts';

/** Contiguous blocks on which limits are checked, each with a fit on the other blocks. */
export const BLOCKS = 8;
/** Rows of real history before a block, so that its first windows are full. */
const LEAD_ROWS = 160;

/** Runs of a block with a lead-in of `skip` rows that do not count, and the runs outside the block. */
export type HeldOutBlock = {
  readonly heldOut: readonly { readonly rows: TrainingRows; readonly skip: number }[];
  readonly others: readonly TrainingRows[];
};

/** Rows from `from` up to `to`, counted run after run. */
export type RowSpan = { readonly from: number; readonly to: number };

/**
 * @param warmUpRows Rows at the start of a run that do not count.
 * @param apart Number of blocks on each side that are not among the others either.
 */
export function heldOutBlocks(
  segments: readonly TrainingRows[],
  { warmUpRows = 0, apart = 0 }: { readonly warmUpRows?: number; readonly apart?: number } = {},
): readonly HeldOutBlock[] {
  const spans = blockSpans(segments);
  return spans.map(({ from, to }, block) => {
    const { heldOut } = heldOutBlock(segments, from, to, warmUpRows);
    const first = spans[Math.max(block - apart, 0)] ?? { from };
    const last = spans[Math.min(block + apart, spans.length - 1)] ?? { to };
    return { heldOut, others: withoutSpans(segments, [{ from: first.from, to: last.to }]) };
  });
}

/** Returns the rows of each block. */
export function blockSpans(segments: readonly TrainingRows[]): readonly RowSpan[] {
  const total = countRows(segments);
  const bound = (block: number) => Math.floor((block * total) / BLOCKS);
  return Array.from({ length: BLOCKS }, (_, block) => ({ from: bound(block), to: bound(block + 1) }));
}

/** Returns the runs outside the spans. @param spans In order. */
export function withoutSpans(segments: readonly TrainingRows[], spans: readonly RowSpan[]): readonly TrainingRows[] {
  return spans.toReversed().reduce((left, { from, to }) => heldOutBlock(left, from, to, 0).others, segments);
}

/**
 * Returns the runs within the spans, each with up to `lead` rows before it: its first windows need them.
 *
 * @param spans In order.
 */
export function withinSpans(
  segments: readonly TrainingRows[],
  spans: readonly RowSpan[],
  lead: number,
): readonly TrainingRows[] {
  const starts = segments.map((_, index) => countRows(segments.slice(0, index)));
  return spans.flatMap(({ from, to }) =>
    segments.flatMap((segment, index) => {
      const first = starts[index] ?? 0;
      const [begin, end] = [from, to].map((row) => Math.min(Math.max(row - first, 0), segment.count)) as [
        number,
        number,
      ];
      return begin === end ? [] : [sliceRows(segment, Math.max(begin - lead, 0), end)];
    }),
  );
}

/** Returns the number of rows in the spans. */
export function countSpans(spans: readonly RowSpan[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

/**
 * Returns spans of all rows, in order, from spans of all rows and further spans of the rows outside them. Spans that touch
 * become one.
 *
 * @param leftOut In order.
 * @param more Counted without the rows of `leftOut`.
 */
export function mergedSpans(leftOut: readonly RowSpan[], more: readonly RowSpan[]): readonly RowSpan[] {
  const all = [...leftOut, ...outsideSpans(leftOut, more)];
  const merged: { from: number; to: number }[] = [];
  for (const span of all.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last === undefined || span.from > last.to) merged.push({ ...span });
    else last.to = Math.max(last.to, span.to);
  }
  return merged;
}

/** Returns spans of all rows from spans that are counted without the rows of `without`. @param without In order. */
export function outsideSpans(without: readonly RowSpan[], spans: readonly RowSpan[]): readonly RowSpan[] {
  const original = (row: number) =>
    without.reduce((moved, { from, to }) => (from <= moved ? moved + to - from : moved), row);
  return spans.map(({ from, to }) => ({ from: original(from), to: original(to - 1) + 1 }));
}

function heldOutBlock(segments: readonly TrainingRows[], from: number, to: number, warmUpRows: number): HeldOutBlock {
  const heldOut: { readonly rows: TrainingRows; readonly skip: number }[] = [];
  const others: TrainingRows[] = [];
  let first = 0;
  for (const segment of segments) {
    const { count } = segment;
    const [begin, end] = [from, to].map((row) => Math.min(Math.max(row - first, 0), count)) as [number, number];
    first += count;
    if (begin === end) {
      others.push(segment);
      continue;
    }
    others.push(sliceRows(segment, 0, begin), sliceRows(segment, end, count));
    const lead = Math.max(begin - Math.max(LEAD_ROWS, warmUpRows), 0);
    const skip = Math.max(begin, warmUpRows) - lead;
    if (lead + skip < end) heldOut.push({ rows: sliceRows(segment, lead, end), skip });
  }
  return { heldOut, others };
}
