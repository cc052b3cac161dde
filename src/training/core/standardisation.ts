import { countRows, type TrainingRows } from './training-rows.ts';

/** Per tag, in engineering units: z = (x − mean) / deviation. */
export type Standardisation = { readonly means: Float64Array; readonly deviations: Float64Array };

/** A tag with a smaller deviation is constant and keeps its unit; the share of the mean is the resolution of float32. */
const DEVIATION_MIN = 1e-12;
const DEVIATION_SHARE_MIN = 1e-7;

/** Returns mean and population deviation of each tag over all segments; two passes, so that a large offset costs no digits. */
export function fitStandardisation(segments: readonly TrainingRows[]): Standardisation {
  const tags = segments[0]?.tags ?? 0;
  const count = countRows(segments);
  const means = perTag(segments, tags, (value) => value).map((sum) => sum / count);
  const squares = perTag(segments, tags, (value, tag) => (value - (means[tag] ?? 0)) ** 2);
  const deviations = squares.map((sum, tag) => {
    const deviation = Math.sqrt(sum / count);
    const least = Math.max(DEVIATION_MIN, DEVIATION_SHARE_MIN * Math.abs(means[tag] ?? 0));
    return deviation < least ? 1 : deviation;
  });
  return { means, deviations };
}

export function standardise(rows: TrainingRows, { means, deviations }: Standardisation): TrainingRows {
  const values = rows.values.map((value, index) => {
    const tag = index % rows.tags;
    return (value - (means[tag] ?? 0)) / (deviations[tag] ?? 1);
  });
  return { count: rows.count, tags: rows.tags, values };
}

function perTag(
  segments: readonly TrainingRows[],
  tags: number,
  term: (value: number, tag: number) => number,
): Float64Array {
  const sums = new Float64Array(tags);
  for (const { values } of segments) {
    for (let index = 0; index < values.length; index += 1) {
      const tag = index % tags;
      sums[tag] = (sums[tag] ?? 0) + term(values[index] ?? 0, tag);
    }
  }
  return sums;
}
