export type BackoffOptions = {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Returns 0–1; from deps, so that a test can fix it. */
  readonly random: () => number;
};

/**
 * Waiting times between attempts: doubling up to `maxMs`, each drawn evenly from its upper half, so that a
 * hundred agents that lost the same broker do not come back in the same instant.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #ceilingMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#ceilingMs = options.firstMs;
  }

  /** Milliseconds to wait before the next attempt; each call doubles the ceiling. */
  nextMs(): number {
    const ceilingMs = this.#ceilingMs;
    this.#ceilingMs = Math.min(ceilingMs * 2, this.#options.maxMs);
    return ceilingMs / 2 + (this.#options.random() * ceilingMs) / 2;
  }

  /** After a success. */
  reset(): void {
    this.#ceilingMs = this.#options.firstMs;
  }
}
