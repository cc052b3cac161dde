import { SeededDraws } from '../../domain/seeded-draws.ts';
import { concatenated } from './statistics.ts';
import { countRows, sliceRows, type TrainingRows } from './training-rows.ts';

/** Runs without a gap and the targets of their rows; `targets` is undefined if there are no labels. */
export type LabelledRows = {
  readonly segments: readonly TrainingRows[];
  readonly targets: readonly Float64Array[] | undefined;
};

/** Splits the rows into the first `share` and the rest, never shuffled: a model is assessed on later rows. */
export function splitInTime(rows: LabelledRows, share: number): readonly [LabelledRows, LabelledRows] {
  const position = Math.floor(countRows(rows.segments) * share);
  return [part(rows, 0, position), part(rows, position, Number.POSITIVE_INFINITY)];
}

/** Returns rows [from, to) of all rows, run by run. */
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

/**
 * Returns all rows as one run in random order, the same for the same rows. For samples without an order of time: they are
 * often sorted by class, and their last quarter would not be representative.
 */
export function inNoOrder({ segments, targets }: LabelledRows, seed: number): LabelledRows {
  const tags = segments[0]?.tags ?? 0;
  const count = countRows(segments);
  const order = Int32Array.from({ length: count }, (_, row) => row);
  new SeededDraws(seed).shuffle(order);
  const rows = concatenated(segments.map(({ values }) => values));
  const labels = concatenated(targets ?? []);
  const values = new Float64Array(count * tags);
  const known = new Float64Array(count);
  order.forEach((position, row) => {
    values.set(rows.subarray(row * tags, (row + 1) * tags), position * tags);
    known[position] = labels[row] ?? Number.NaN;
  });
  return { segments: [{ count, tags, values }], targets: targets === undefined ? undefined : [known] };
}
