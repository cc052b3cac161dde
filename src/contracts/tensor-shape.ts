/** Returns the number of elements of a shape without open dimensions. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

/** Returns a shape as `[?, 16, 3]`; `?` is a dimension of any size. */
export function shapeText(dims: readonly number[]): string {
  return `[${dims.map((size) => (size === -1 ? '?' : size)).join(', ')}]`;
}
