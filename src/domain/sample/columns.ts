type Column = Float64Array | Uint8Array;

/**
 * Returns a column by tag number with more tags, for a table that continues after a change of the configuration.
 *
 * @param initial Value of a tag without a sample.
 * @param renewed Tags that start again without a sample.
 */
export function continuedColumn<C extends Column>(
  column: C,
  length: number,
  initial: number,
  renewed: ReadonlySet<number>,
): C {
  // Both classes have the same constructor, which their union does not express.
  const next = new (column.constructor as new (length: number) => C)(Math.max(length, column.length));
  next.fill(initial);
  next.set(column);
  for (const tag of renewed) next[tag] = initial;
  return next;
}
