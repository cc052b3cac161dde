/** Returns the number of elements of a shape. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

/** Returns a shape as text, such as `[?, 16, 3]`; a dimension of any size (-1) is `?`. */
export function shapeText(dims: readonly number[]): string {
  return `[${dims.map((size) => (size === -1 ? '?' : size)).join(', ')}]`;
}
