/** Regimes of a machine that training found in its tags: each row is moved from the centre of its own to one reference. */
export type MachineRegimes = {
  /** Value of each tag that takes the place of the centre of a regime. */
  readonly reference: readonly number[];
  /** Standard deviation of each tag within a regime: the unit of distances. */
  readonly scales: readonly number[];
  readonly centres: readonly (readonly number[])[];
};

/**
 * Returns the number of the regime whose centre is nearest to a row. Tags without a value do not count.
 *
 * @param values Shape [rows, tags], row-major.
 */
export function regimeAt(
  { centres, scales }: Omit<MachineRegimes, 'reference'>,
  values: ArrayLike<number>,
  row: number,
): number {
  let nearest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, centre] of centres.entries()) {
    let distance = 0;
    for (const [tag, scale] of scales.entries()) {
      const deviation = ((values[row * scales.length + tag] ?? Number.NaN) - (centre[tag] ?? 0)) / scale;
      if (!Number.isNaN(deviation)) distance += deviation * deviation;
    }
    if (distance < least) [nearest, least] = [index, distance];
  }
  return nearest;
}

/** Moves each row by the difference of the reference and the nearest centre. @param values Shape [rows, tags]; changed in place. */
export function moveFromNearest(regimes: MachineRegimes, values: Float32Array | Float64Array): void {
  const { reference, centres } = regimes;
  const tags = reference.length;
  for (let row = 0; row * tags < values.length; row += 1) {
    const centre = centres[regimeAt(regimes, values, row)] ?? reference;
    for (let tag = 0; tag < tags; tag += 1)
      values[row * tags + tag] = (values[row * tags + tag] ?? 0) - (centre[tag] ?? 0) + (reference[tag] ?? 0);
  }
}
