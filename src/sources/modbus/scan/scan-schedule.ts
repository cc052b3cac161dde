/**
 * When a scan class is due: at the multiples of its interval on the monotonic clock, so that drift cannot
 * build up and classes with equal intervals, of whatever device, fall due together.
 *
 * The first scan is due at once, whatever the interval. After a stall, or a scan that took longer than its
 * interval, one scan makes up for all that were missed.
 */
export class ScanSchedule {
  readonly #intervalMs: number;
  /** Multiple of the interval that the last scan stood for; undefined before the first. */
  #last: number | undefined;

  /** @param intervalMs More than 0. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Milliseconds until the next scan is due; 0 where it is due already. */
  delayMs(nowMs: number): number {
    if (this.#last === undefined) return 0;
    return Math.max(0, (this.#last + 1) * this.#intervalMs - nowMs);
  }

  /**
   * A scan begins: it stands for the latest due time.
   * @returns How many due times before that one went without a scan.
   */
  begin(nowMs: number): number {
    const latest = Math.floor(nowMs / this.#intervalMs);
    if (this.#last === undefined) {
      this.#last = latest;
      return 0;
    }
    // A timer may fire a fraction of a millisecond early: the scan still stands for the due time it was set for.
    const next = this.#last + 1;
    this.#last = Math.max(next, latest);
    return this.#last - next;
  }
}
