import type { Clock, Timer } from '../../src/platform/clock.ts';

type Entry = { readonly dueMs: number; readonly order: number; readonly callback: () => void };

/** Time that moves only when a test says so; timers fire in order of their due time. */
export class FakeClock implements Clock {
  #monotonicMs = 0;
  #epochMs: number;
  #order = 0;
  readonly #entries = new Set<Entry>();

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
  }

  nowMs(): number {
    return this.#epochMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const entry = { dueMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#entries.add(entry);
    return { cancel: () => this.#entries.delete(entry) };
  }

  /** Fires what falls due on the way and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#entries.delete(next);
      this.#moveTo(next.dueMs);
      next.callback();
      await settle();
    }
    this.#moveTo(untilMs);
    await settle();
  }

  get timers(): number {
    return this.#entries.size;
  }

  #next(untilMs: number): Entry | undefined {
    return [...this.#entries]
      .filter(({ dueMs }) => dueMs <= untilMs)
      .toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
  }

  #moveTo(monotonicMs: number): void {
    this.#epochMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
