import type { Deps } from '../../platform/deps.ts';
import { formatByteSize } from '../../domain/byte-size.ts';
import { v2Failure } from './v2-errors.ts';
import { v2Metrics } from './v2-metrics.ts';

/** Bounds the memory of all requests in progress together. A request that does not fit is refused and may be retried. */
export class BodyBudget {
  readonly #bytesMax: number;
  readonly #gauge;
  #bytes = 0;

  constructor(bytesMax: number, deps: Deps) {
    this.#bytesMax = bytesMax;
    this.#gauge = deps.metrics.of(v2Metrics).andon_http_infer_bytes;
  }

  /**
   * @param bytes Largest size of the body.
   * @returns Releases the memory. Further calls have no effect.
   * @throws {OperatingError} 'infer-busy' (retry) if it does not fit.
   */
  take(bytes: number): () => void {
    if (this.#bytes + bytes > this.#bytesMax)
      throw v2Failure(
        'infer-busy',
        `Requests in progress use ${formatByteSize(this.#bytes)} of ${formatByteSize(this.#bytesMax)}; ${formatByteSize(bytes)} more do not fit`,
      );
    this.#set(this.#bytes + bytes);
    let held = bytes;
    return () => {
      this.#set(this.#bytes - held);
      held = 0;
    };
  }

  #set(bytes: number): void {
    this.#bytes = bytes;
    this.#gauge.set(bytes);
  }
}
