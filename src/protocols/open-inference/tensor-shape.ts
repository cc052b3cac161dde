import { malformed } from './malformed.ts';

/** More dimensions than any operator of ONNX has a use for. */
export const RANK_MAX = 32;

/**
 * Number of elements of a shape.
 *
 * @throws {OperatingError} 'infer-request-invalid' where it is no safe integer: such a tensor exists nowhere.
 */
export function elementCount(dims: readonly number[], what: string): number {
  let count = 1;
  for (const size of dims) {
    count *= size;
    if (!Number.isSafeInteger(count))
      throw malformed(`${what} has shape ${shapeText(dims)}, more elements than can be`);
  }
  return count;
}

/** `[2, 16, 3]`; -1 is any size. */
export function shapeText(dims: readonly number[]): string {
  return `[${dims.join(', ')}]`;
}
