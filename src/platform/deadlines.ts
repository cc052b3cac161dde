import type { Clock, Timer } from './clock.ts';

type Deadline = { readonly dueMs: number; readonly callback: () => void };

/**
 * Many deadlines that are rarely reached, with one timer for the earliest. The timer stays when its deadline is
 * cancelled. Setting and clearing a timer for each call would cost more than many of the calls.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #waiting = new Set<Deadline>();
  #timer: Timer | undefined;
  #timerDueMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls once, after `delayMs`, unless it is cancelled before. Does not keep the process alive. */
  set(callback: () => void, delayMs: number): Timer {
    const deadline = { dueMs: this.#clock.monotonicMs() + delayMs, callback };
    this.#waiting.add(deadline);
    this.#wakeBy(deadline.dueMs);
    return { cancel: () => this.#waiting.delete(deadline) };
  }

  #wakeBy(dueMs: number): void {
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    const delayMs = dueMs - this.#clock.monotonicMs();
    this.#timer = this.#clock.setTimer(() => this.#wake(), delayMs, { background: true });
  }

  #wake(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    const due = [...this.#waiting].filter(({ dueMs }) => dueMs <= nowMs);
    for (const deadline of due) this.#waiting.delete(deadline);
    let nextDueMs = Infinity;
    for (const { dueMs } of this.#waiting) nextDueMs = Math.min(nextDueMs, dueMs);
    if (this.#waiting.size > 0) this.#wakeBy(nextDueMs);
    for (const { callback } of due) callback();
  }
}
