import { Backoff } from '../../../platform/backoff.ts';
import type { Clock } from '../../../platform/clock.ts';

/** Two frames that nobody asked for within this time are no chance. */
const PAIR_MS = 10_000;
/** How long the line is left alone after the last of them, doubling each time that they come back. */
const OFF_MS_FIRST = 10_000;
const OFF_MS_MAX = 300_000;
/** Without any for this long, the next pair counts as the first. */
const FORGOTTEN_MS = 600_000;

/**
 * Frames on a line without transaction ids that andon did not ask for and that no unit owes: another master asks there, or a
 * device answers twice. Any of them that comes while a read is in flight would pass for its answer, so nothing is asked until
 * they have stopped. The time is drawn, so that of two agents on one line the first to come back keeps the other off.
 */
export class ForeignFrames {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #heardAtMs = -Infinity;
  #offMs = 0;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#backoff = new Backoff({ firstMs: OFF_MS_FIRST, maxMs: OFF_MS_MAX, random });
  }

  /** How long from now on nothing may be asked, after one more frame; undefined while it may be chance. */
  offMs(isOff: boolean): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const sinceLastMs = nowMs - this.#heardAtMs;
    this.#heardAtMs = nowMs;
    if (isOff) return this.#offMs;
    if (sinceLastMs > FORGOTTEN_MS) this.#backoff.reset();
    if (sinceLastMs > PAIR_MS) return undefined;
    this.#offMs = this.#backoff.nextMs();
    return this.#offMs;
  }
}
