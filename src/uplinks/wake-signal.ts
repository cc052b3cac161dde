import type { Clock } from '../platform/clock.ts';

/** Wakes a loop that waits. A signal that comes while nothing waits is kept for the next wait. */
export class WakeSignal {
  readonly #clock: Clock;
  #isSet = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Drops a signal that was kept. */
  clear(): void {
    this.#isSet = false;
  }

  /** Resolves when the signal is set or after `timeoutMs`, and clears the signal. Only one caller may wait. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#isSet) await this.#setOr(timeoutMs);
    this.#isSet = false;
  }

  #setOr(timeoutMs: number): Promise<void> {
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
