import { shapeText } from '../../contracts/tensor-shape.ts';
import { malformed } from './malformed.ts';

/** Largest rank that is accepted; no ONNX operator uses more dimensions. */
export const RANK_MAX = 32;

/**
 * Returns the number of elements of a shape in a request.
 *
 * @throws {OperatingError} 'infer-request-invalid' if it is not a safe integer: no such tensor can exist.
 */
export function checkedElementCount(dims: readonly number[], what: string): number {
  let count = 1;
  for (const size of dims) {
    count *= size;
    if (!Number.isSafeInteger(count))
      throw malformed(`${what} has shape ${shapeText(dims)}, more elements than a tensor can have`);
  }
  return count;
}
