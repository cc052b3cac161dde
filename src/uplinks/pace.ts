import type { Clock } from '../platform/clock.ts';

export type PaceLimits = {
  readonly recordsPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
};

/**
 * Limits the rate of an uplink: each batch reserves its share of time, and the next batch waits until that has passed.
 * Idle time earns no credit, so a backlog never causes a burst.
 */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  #freeAtMs = 0;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Milliseconds until the next batch may be sent; 0 if it may be sent now. */
  waitMs(): number {
    return Math.max(0, this.#freeAtMs - this.#clock.monotonicMs());
  }

  book(records: number, bytes: number): void {
    const seconds = Math.max(
      records / (this.#limits.recordsPerSecond ?? Infinity),
      bytes / (this.#limits.bytesPerSecond ?? Infinity),
    );
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.monotonicMs()) + seconds * 1000;
  }
}
