import { Backoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';

/** Two unsolicited frames within this time are not noise. */
const PAIR_MS = 10_000;
/** Time without requests after the last unsolicited frame; doubles each time that they return. */
const OFF_MS_FIRST = 10_000;
const OFF_MS_MAX = 300_000;
/** After this time without unsolicited frames, the waits restart from the first value. */
const FORGOTTEN_MS = 600_000;

/**
 * Unsolicited frames on a line without transaction ids: another master uses the line, or a device answers twice. Such a
 * frame could be taken for the response to a read in flight, so andon sends nothing until they stop. The waiting time is
 * random: of two agents on one line, the first to resume keeps the other silent.
 */
export class UnsolicitedFrames {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #lastFrameAtMs = -Infinity;
  #offMs = 0;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#backoff = new Backoff({ firstMs: OFF_MS_FIRST, maxMs: OFF_MS_MAX, random });
  }

  /** Records one more frame. @returns Time without requests from now on, in milliseconds; undefined while it may be noise. */
  offMs(isOff: boolean): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const sinceLastMs = nowMs - this.#lastFrameAtMs;
    this.#lastFrameAtMs = nowMs;
    if (isOff) return this.#offMs;
    if (sinceLastMs > FORGOTTEN_MS) this.#backoff.reset();
    if (sinceLastMs > PAIR_MS) return undefined;
    this.#offMs = this.#backoff.nextMs();
    return this.#offMs;
  }
}
