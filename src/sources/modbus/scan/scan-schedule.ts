/**
 * Due times of a scan class: the multiples of its interval on the monotonic clock. Drift cannot accumulate, and classes
 * with equal intervals are due together, also of different devices.
 *
 * The first scan is due immediately. After a stall, or a scan longer than its interval, one scan stands for all missed ones.
 */
export class ScanSchedule {
  readonly #intervalMs: number;
  /** Multiple of the interval of the last scan; undefined before the first. */
  #last: number | undefined;

  /** @param intervalMs More than 0. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Returns the time until the next scan, in milliseconds; 0 if it is due. */
  delayMs(nowMs: number): number {
    if (this.#last === undefined) return 0;
    return Math.max(0, (this.#last + 1) * this.#intervalMs - nowMs);
  }

  /**
   * Records the start of a scan for the latest due time.
   * @returns Number of earlier due times without a scan.
   */
  begin(nowMs: number): number {
    const latest = Math.floor(nowMs / this.#intervalMs);
    if (this.#last === undefined) {
      this.#last = latest;
      return 0;
    }
    // A timer may fire a fraction of a millisecond early; the scan still counts for its due time.
    const next = this.#last + 1;
    this.#last = Math.max(next, latest);
    return this.#last - next;
  }
}
