export type BackoffOptions = {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Returns 0 to 1. */
  readonly random: () => number;
};

/**
 * Waits between attempts. They double up to `maxMs`, and each is a random value from the upper half, so that many agents
 * that lost the same broker do not reconnect at the same time.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #limitMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#limitMs = options.firstMs;
  }

  /** Returns the wait before the next attempt. Each call doubles the upper limit of the next. */
  nextMs(): number {
    const limitMs = this.#limitMs;
    this.#limitMs = Math.min(limitMs * 2, this.#options.maxMs);
    return limitMs / 2 + (this.#options.random() * limitMs) / 2;
  }

  /** Starts again with `firstMs`. Call it after a success. */
  reset(): void {
    this.#limitMs = this.#options.firstMs;
  }
}
