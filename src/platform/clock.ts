import type { EpochMs } from '../domain/epoch-ms.ts';

export type Timer = { cancel(): void };

/** The only source of time: real in the agent, simulated in tests. */
export interface Clock {
  /**
   * Wall time without jumps: read once, then continued with the monotonic clock. It is set again only after a jump of the
   * system clock was detected (see `WallClockMonitor`).
   */
  nowMs(): EpochMs;
  /** Milliseconds since an arbitrary start. Never decreases. */
  monotonicMs(): number;
  /** Calls once, after at least `delayMs`. With `background`, the timer does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer;
}

/** Longest delay of Node's setTimeout. A longer one would fire immediately. */
const TIMER_MS_MAX = 2_147_483_647;

export class SystemClock implements Clock {
  #offsetMs = Date.now() - performance.now();

  nowMs(): EpochMs {
    return performance.now() + this.#offsetMs;
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(callback: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer {
    const timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), TIMER_MS_MAX));
    if (options?.background === true) timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  }

  /** Returns how far the system clock is ahead of `nowMs`. Changes when the system clock is set. */
  wallClockLeadMs(): number {
    return Date.now() - this.nowMs();
  }

  /** Sets `nowMs` to the system clock after a jump. Times may go back once, so users that order by time must be notified. */
  adoptSystemTime(): void {
    this.#offsetMs = Date.now() - performance.now();
  }
}

/** Resolves after `delayMs`, or immediately when the signal is aborted. Never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const timer = clock.setTimer(done, delayMs);
    function done(): void {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}
