import { countRows, sliceRows, type TrainingRows } from './training-rows.ts';

/** Contiguous blocks on which limits are checked, each with a fit on the other blocks. */
export const BLOCKS = 8;
/** Rows of real history before a block, so that its first windows are full. */
const LEAD_ROWS = 64;

/** Runs of a block with a lead-in of `skip` rows that do not count, and the runs outside the block. */
export type HeldOutBlock = {
  readonly heldOut: readonly { readonly rows: TrainingRows; readonly skip: number }[];
  readonly others: readonly TrainingRows[];
};

/** Returns each block of the rows, counted run after run. */
export function heldOutBlocks(segments: readonly TrainingRows[], warmUpRows: number): readonly HeldOutBlock[] {
  const total = countRows(segments);
  const bound = (block: number) => Math.floor((block * total) / BLOCKS);
  return Array.from({ length: BLOCKS }, (_, block) =>
    heldOutBlock(segments, bound(block), bound(block + 1), warmUpRows),
  );
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
