import { shapeText } from '../../contracts/tensor-shape.ts';
import { malformed } from './malformed.ts';

/** More dimensions than any operator of ONNX has a use for. */
export const RANK_MAX = 32;

/**
 * Returns the number of elements of a shape from a request.
 *
 * @throws {OperatingError} 'infer-request-invalid' if it is not a safe integer: no such tensor can exist.
 */
export function checkedElementCount(dims: readonly number[], what: string): number {
  let count = 1;
  for (const size of dims) {
    count *= size;
    if (!Number.isSafeInteger(count))
      throw malformed(`${what} has shape ${shapeText(dims)}, more elements than can be`);
  }
  return count;
}
