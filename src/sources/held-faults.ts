import type { Clock } from '../platform/clock.ts';

/** A fault is shown for this long after it was last seen, so that one that flaps makes no flood of log lines. */
const HELD_MS = 10_000;
/** Faults that are named; the rest is a number. */
const NAMED_MAX = 3;
/** Faults that are kept apart; a plant where more topics are wrong at once reads no longer list than this. */
const KEPT_MAX = 1000;

/** What was wrong lately, for health: one text for each topic or other key, the oldest first. */
export class HeldFaults {
  readonly #clock: Clock;
  readonly #faults = new Map<string, { readonly text: string; readonly untilMs: number }>();
  #told = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns Whether the text has changed and is to be told now; a change in the number alone can wait for `forget`. */
  note(key: string, text: string): boolean {
    const isNew = !this.#faults.has(key);
    if (isNew && this.#faults.size >= KEPT_MAX) return false;
    this.#faults.set(key, { text, untilMs: this.#clock.monotonicMs() + HELD_MS });
    if (!isNew || this.#faults.size > NAMED_MAX) return false;
    this.#told = this.#faults.size;
    return true;
  }

  /** Drops what is over; to be called about every second. @returns Whether the text has changed. */
  forget(): boolean {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { untilMs }] of this.#faults) if (untilMs <= nowMs) this.#faults.delete(key);
    if (this.#faults.size === this.#told) return false;
    this.#told = this.#faults.size;
    return true;
  }

  /** '' where nothing is wrong. */
  text(): string {
    const named = [...this.#faults.values()].slice(0, NAMED_MAX).map(({ text }) => text);
    const more = this.#faults.size > NAMED_MAX ? [`${this.#faults.size - NAMED_MAX} more topics`] : [];
    return [...named, ...more].join('; ');
  }
}
