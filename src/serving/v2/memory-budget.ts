import { formatByteSize } from '../../domain/byte-size.ts';
import type { OperatingError } from '../../platform/errors.ts';

/**
 * Bounds the memory of all requests in progress together.
 *
 * @param refusal Returns the error of a request that does not fit; `used` has the sizes.
 * @returns Takes memory, and returns a function that releases it once. It throws the refusal if the bytes do not fit.
 */
export function memoryBudget(
  bytesMax: number,
  gauge: { readonly set: (bytes: number) => void },
  refusal: (used: string) => OperatingError,
): (bytes: number) => () => void {
  let taken = 0;
  return (bytes) => {
    const [used, most, more] = [taken, bytesMax, bytes].map(formatByteSize);
    if (taken + bytes > bytesMax) throw refusal(`${used} of ${most}; ${more} more do not fit`);
    gauge.set((taken += bytes));
    let held = bytes;
    return () => {
      gauge.set((taken -= held));
      held = 0;
    };
  };
}
