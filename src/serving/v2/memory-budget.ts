import { formatByteSize } from '../../domain/byte-size.ts';
import type { OperatingError } from '../../platform/errors.ts';

/** Bounds the memory of all requests in progress together. A request that does not fit is refused and may be retried. */
export class MemoryBudget {
  readonly #bytesMax: number;
  readonly #gauge: { readonly set: (bytes: number) => void };
  readonly #refusal: (used: string) => OperatingError;
  #bytes = 0;

  /** @param refusal Returns the error of a request that does not fit; `used` has the sizes. */
  constructor(
    bytesMax: number,
    gauge: { readonly set: (bytes: number) => void },
    refusal: (used: string) => OperatingError,
  ) {
    this.#bytesMax = bytesMax;
    this.#gauge = gauge;
    this.#refusal = refusal;
  }

  /**
   * @returns Releases the memory. Further calls have no effect.
   * @throws {OperatingError} The refusal, if the bytes do not fit.
   */
  take(bytes: number): () => void {
    const [used, most, more] = [this.#bytes, this.#bytesMax, bytes].map(formatByteSize);
    if (this.#bytes + bytes > this.#bytesMax) throw this.#refusal(`${used} of ${most}; ${more} more do not fit`);
    this.#gauge.set((this.#bytes += bytes));
    let held = bytes;
    return () => {
      this.#gauge.set((this.#bytes -= held));
      held = 0;
    };
  }
}
