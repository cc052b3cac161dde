import type { Clock } from '../platform/clock.ts';

/** A fault is reported for this long after it was last seen, so that a flapping fault does not flood the log. */
const HELD_MS = 10_000;
/** Faults that are named; the others are counted. */
const NAMED_MAX = 3;
/** Maximum number of faults kept. */
const KEPT_MAX = 1000;

/** Recent faults for health: one text for each topic or other key, the oldest first. */
export class HeldFaults {
  readonly #clock: Clock;
  readonly #faults = new Map<string, { readonly text: string; readonly untilMs: number }>();
  #reported = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns True if the text has changed and must be reported now; a change of the count alone waits for `forget`. */
  note(key: string, text: string): boolean {
    const isNew = !this.#faults.has(key);
    if (isNew && this.#faults.size >= KEPT_MAX) return false;
    this.#faults.set(key, { text, untilMs: this.#clock.monotonicMs() + HELD_MS });
    if (!isNew || this.#faults.size > NAMED_MAX) return false;
    this.#reported = this.#faults.size;
    return true;
  }

  /** Drops expired faults; call it about every second. @returns True if the text has changed. */
  forget(): boolean {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { untilMs }] of this.#faults) if (untilMs <= nowMs) this.#faults.delete(key);
    if (this.#faults.size === this.#reported) return false;
    this.#reported = this.#faults.size;
    return true;
  }

  /** Undefined if there is no fault. */
  text(): string | undefined {
    if (this.#faults.size === 0) return undefined;
    const named = [...this.#faults.values()].slice(0, NAMED_MAX).map(({ text }) => text);
    const more = this.#faults.size > NAMED_MAX ? [`${this.#faults.size - NAMED_MAX} more topics`] : [];
    return [...named, ...more].join('; ');
  }
}
