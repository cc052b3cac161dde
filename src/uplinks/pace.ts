import type { Clock } from '../platform/clock.ts';

export type PaceLimits = {
  readonly recordsPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
};

/**
 * Keeps an uplink under its rates: each batch books the time it is worth, and the next one waits until that is over.
 * Idle time earns nothing, so a backlog never comes as a burst.
 */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  #freeAtMs = 0;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Milliseconds until the next batch may go; 0 where it may go now. */
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
