import type { EpochMs } from '../domain/epoch-ms.ts';

export type Timer = { cancel(): void };

/** The only way to time: real in the agent, stepped by hand in tests. */
export interface Clock {
  /**
   * Wall time that never jumps by itself: the epoch read once, carried on by the monotonic clock, and set
   * anew only when a jump of the system's clock was seen (see `WallClockMonitor`).
   */
  nowMs(): EpochMs;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls once, after at least `delayMs`. Does not keep the process alive by itself when `background` is set. */
  setTimer(callback: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer;
}

/** Longest delay that Node's setTimeout takes; a longer one would fire at once. */
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

  /** Milliseconds that the system's wall clock is ahead of `nowMs`; grows when somebody sets the clock. */
  wallClockLeadMs(): number {
    return Date.now() - this.nowMs();
  }

  /** Takes over the system's wall clock after a jump. Times may go back once; whoever orders by time must be told. */
  takeWallClock(): void {
    this.#offsetMs = Date.now() - performance.now();
  }
}

/** Resolves after `delayMs`, or at once when the signal is aborted; never rejects. */
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
