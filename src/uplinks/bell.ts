import type { Clock } from '../platform/clock.ts';

/** Wakes the one who waits; a ring while nobody waits is kept for the next wait. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Forgets a ring that was kept. */
  clear(): void {
    this.#rung = false;
  }

  /** Resolves at a ring, at once where one is kept, or after `timeoutMs`; the ring is used up. One waits at a time. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#rung) await this.#ringOr(timeoutMs);
    this.#rung = false;
  }

  #ringOr(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#wake = undefined;
        resolve();
      };
      const timer = this.#clock.setTimer(done, timeoutMs, { background: true });
      this.#wake = done;
    });
  }
}
