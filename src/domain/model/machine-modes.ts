/** Modes of a machine, such as recipes: one centre and limit for each, and one structure of the rest. */
export type MachineModes = {
  /** Column of the tag with the mode. */
  readonly column: number;
  /** Value of each tag that takes the place of the centre of a mode. */
  readonly reference: readonly number[];
  readonly values: readonly MachineMode[];
};

export type MachineMode = {
  /** Value of the tag in this mode. */
  readonly value: number;
  /** Mean of each tag in this mode. */
  readonly centre: readonly number[];
  /** Factor of the threshold in this mode, 1 or more. */
  readonly limit: number;
};

/** Returns the mode of a row; undefined if it is not known. @param value As float32 or double. */
export function modeOf({ values }: MachineModes, value: number): MachineMode | undefined {
  return values.find((mode) => mode.value === value || Math.fround(mode.value) === value);
}

/**
 * Moves each row of known mode by the difference of the reference and the centre of its mode. The column of the mode becomes
 * constant.
 *
 * @param values Shape [rows, tags], row-major; changed in place.
 */
export function moveToReference(modes: MachineModes, values: Float32Array | Float64Array): void {
  const { column, reference } = modes;
  const tags = reference.length;
  for (let row = 0; row < values.length; row += tags) {
    const mode = modeOf(modes, values[row + column] ?? Number.NaN);
    if (mode === undefined) continue;
    for (let tag = 0; tag < tags; tag += 1)
      values[row + tag] = (values[row + tag] ?? 0) - (mode.centre[tag] ?? 0) + (reference[tag] ?? 0);
    values[row + column] = reference[column] ?? 0;
  }
}

/** Returns the first value of the mode in a window that the model does not know; undefined if it knows all. */
export function newModeIn(modes: MachineModes, values: ArrayLike<number>): number | undefined {
  const tags = modes.reference.length;
  for (let row = 0; row < values.length; row += tags) {
    const value = values[row + modes.column] ?? Number.NaN;
    if (modeOf(modes, value) === undefined) return value;
  }
  return undefined;
}
