import type { Clock, Timer } from '../../platform/clock.ts';

/** One timer per name: setting it again replaces it. The timers do not keep the process alive. */
export class NamedTimers {
  readonly #clock: Clock;
  readonly #timers = new Map<string, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(name: string): boolean {
    return this.#timers.has(name);
  }

  set(name: string, delayMs: number, callback: () => void): void {
    this.cancel(name);
    const fire = () => {
      this.#timers.delete(name);
      callback();
    };
    this.#timers.set(name, this.#clock.setTimer(fire, delayMs, { background: true }));
  }

  cancel(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  cancelAll(): void {
    for (const name of this.#timers.keys()) this.cancel(name);
  }
}
