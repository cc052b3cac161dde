import type { Clock } from '../platform/clock.ts';

/** A fault is reported for this long after it has ended, so that a flapping fault does not flood the log. */
const HELD_MS = 10_000;
/** Faults that are named; the others are counted. */
const NAMED_MAX = 3;
/** Maximum number of faults kept. */
const KEPT_MAX = 1000;

type Key = string | number;

/** Current and recent faults for health: one text for each topic, tag or other key, the oldest first. */
export class HeldFaults {
  readonly #clock: Clock;
  readonly #faults = new Map<Key, { readonly text: string; readonly untilMs: number }>();
  #reported = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Adds an event that has no end of its own; it is reported for 10 s.
   * @returns True if the text has changed and must be reported now; a change of the count alone waits for `forget`.
   */
  note(key: Key, text: string): boolean {
    return this.#set(key, text, this.#clock.monotonicMs() + HELD_MS);
  }

  /** Adds a fault that lasts until `end` or `clear`. @returns As `note`. */
  begin(key: Key, text: string): boolean {
    return this.#set(key, text, Infinity);
  }

  /** The key is good again. */
  end(key: Key): void {
    const fault = this.#faults.size === 0 ? undefined : this.#faults.get(key);
    if (fault?.untilMs === Infinity)
      this.#faults.set(key, { text: fault.text, untilMs: this.#clock.monotonicMs() + HELD_MS });
  }

  /** Removes every fault: after the loss of the broker no value is current. */
  clear(): void {
    this.#faults.clear();
    this.#reported = 0;
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
    const more = this.#faults.size > NAMED_MAX ? [`${this.#faults.size - NAMED_MAX} more faults`] : [];
    return [...named, ...more].join('; ');
  }

  #set(key: Key, text: string, untilMs: number): boolean {
    const before = this.#faults.get(key);
    if (before === undefined && this.#faults.size >= KEPT_MAX) return false;
    this.#faults.set(key, { text, untilMs });
    if (before !== undefined || this.#faults.size > NAMED_MAX) return false;
    this.#reported = this.#faults.size;
    return true;
  }
}
