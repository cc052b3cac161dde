import type { Clock, Timer } from '../../../platform/clock.ts';

/** A deadline that is often replaced. One timer keeps running and is set again only if it fires before the deadline. */
export class Deadline {
  readonly #clock: Clock;
  readonly #onPassed: () => void;
  #atMs = Infinity;
  #timer: Timer | undefined;
  #timerDueMs = Infinity;

  constructor(clock: Clock, onPassed: () => void) {
    this.#clock = clock;
    this.#onPassed = onPassed;
  }

  set(nowMs: number, delayMs: number): void {
    this.#atMs = nowMs + delayMs;
    if (this.#timer !== undefined && this.#timerDueMs <= this.#atMs) return;
    this.#timer?.cancel();
    this.#startTimer(delayMs);
  }

  /** Moves the deadline to `delayMs` from now if that is earlier. */
  shorten(delayMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.set(nowMs, Math.min(delayMs, this.#atMs - nowMs));
  }

  /** Removes the deadline; the timer continues for the next one. */
  clear(): void {
    this.#atMs = Infinity;
  }

  /** Removes the deadline and its timer. */
  cancel(): void {
    this.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #startTimer(delayMs: number): void {
    this.#timerDueMs = this.#clock.monotonicMs() + delayMs;
    this.#timer = this.#clock.setTimer(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#atMs === Infinity) return;
    const leftMs = this.#atMs - this.#clock.monotonicMs();
    if (leftMs > 0) return this.#startTimer(leftMs);
    // After a stall of the event loop the response may be in the socket already: read it before the timeout is reported.
    setImmediate(() => this.#check());
  }

  #check(): void {
    if (this.#atMs === Infinity) return;
    const leftMs = this.#atMs - this.#clock.monotonicMs();
    if (leftMs <= 0) this.#onPassed();
    else if (this.#timer === undefined) this.#startTimer(leftMs);
  }
}
