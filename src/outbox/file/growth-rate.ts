/** Time over which the rate is averaged: long enough to even out the variations of a shift. */
const AVERAGE_MS = 600_000;
/** Minimum time before a rate is reported. */
const OBSERVED_MS_MIN = 60_000;
const HOUR_MS = 3_600_000;

/** Moving average of the bytes stored per hour. */
export class GrowthRate {
  #bytesPerMs: number | undefined;
  #observedMs = 0;
  #lastMs: number | undefined;

  /** @param bytes Stored since the last call. */
  add(bytes: number, nowMs: number): void {
    const passedMs = nowMs - (this.#lastMs ?? nowMs);
    this.#lastMs = nowMs;
    if (passedMs <= 0) return;
    this.#observedMs += passedMs;
    const rate = bytes / passedMs;
    // Early values have a larger weight, so that the average does not start at 0.
    const weight = passedMs / Math.min(this.#observedMs, AVERAGE_MS);
    this.#bytesPerMs = (this.#bytesPerMs ?? rate) * (1 - weight) + rate * weight;
  }

  /** Returns the hours until `bytesFree` are used; undefined before a rate is known, or while nothing is stored. */
  hoursLeft(bytesFree: number): number | undefined {
    if (this.#bytesPerMs === undefined || this.#observedMs < OBSERVED_MS_MIN || this.#bytesPerMs <= 0) return undefined;
    return Math.max(0, bytesFree / this.#bytesPerMs / HOUR_MS);
  }
}
