/** Time over which the rate is averaged: long enough for a shift's ups and downs not to swing it. */
const AVERAGE_MS = 600_000;
/** No rate is named before so much was seen. */
const SEEN_MS_MIN = 60_000;
const HOUR_MS = 3_600_000;

/** Bytes stored an hour, as a moving average. */
export class GrowthRate {
  #bytesPerMs: number | undefined;
  #seenMs = 0;
  #lastMs: number | undefined;

  /** @param bytes Stored since the last call. */
  add(bytes: number, nowMs: number): void {
    const passedMs = nowMs - (this.#lastMs ?? nowMs);
    this.#lastMs = nowMs;
    if (passedMs <= 0) return;
    this.#seenMs += passedMs;
    const rate = bytes / passedMs;
    // The first samples weigh by the time seen, so that the average does not start at zero.
    const weight = passedMs / Math.min(this.#seenMs, AVERAGE_MS);
    this.#bytesPerMs = (this.#bytesPerMs ?? rate) * (1 - weight) + rate * weight;
  }

  /** Hours until `bytesFree` are used up; undefined before there is a rate, or while nothing is stored. */
  hoursLeft(bytesFree: number): number | undefined {
    if (this.#bytesPerMs === undefined || this.#seenMs < SEEN_MS_MIN || this.#bytesPerMs <= 0) return undefined;
    return Math.max(0, bytesFree / this.#bytesPerMs / HOUR_MS);
  }
}
