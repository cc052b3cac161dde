/** Per column, in engineering units: z = (x − mean) / deviation. */
export type Standardisation = { readonly means: Float64Array; readonly deviations: Float64Array };

/** A column with a smaller deviation is constant and keeps its unit; the share of the mean is the resolution of float32. */
const DEVIATION_MIN = 1e-12;
const DEVIATION_SHARE_MIN = 1e-7;

/**
 * Returns mean and population deviation of each column over all runs; two passes, so that a large offset costs no digits.
 */
export function fitStandardisation(
  runs: readonly { readonly values: Float64Array }[],
  columns: number,
): Standardisation {
  const count = runs.reduce((sum, { values }) => sum + values.length, 0) / columns;
  const means = sums(runs, columns, (value) => value).map((sum) => sum / count);
  const squares = sums(runs, columns, (value, column) => (value - (means[column] ?? 0)) ** 2);
  const deviations = squares.map((sum, column) => {
    const deviation = Math.sqrt(sum / count);
    const least = Math.max(DEVIATION_MIN, DEVIATION_SHARE_MIN * Math.abs(means[column] ?? 0));
    return deviation < least ? 1 : deviation;
  });
  return { means, deviations };
}

/** @param values Row-major, with the columns of the fit. */
export function standardise(values: Float64Array, { means, deviations }: Standardisation): Float64Array {
  return values.map((value, index) => {
    const column = index % means.length;
    return (value - (means[column] ?? 0)) / (deviations[column] ?? 1);
  });
}

function sums(
  runs: readonly { readonly values: Float64Array }[],
  columns: number,
  term: (value: number, column: number) => number,
): Float64Array {
  const totals = new Float64Array(columns);
  for (const { values } of runs)
    for (let index = 0; index < values.length; index += 1)
      totals[index % columns] = (totals[index % columns] ?? 0) + term(values[index] ?? 0, index % columns);
  return totals;
}
