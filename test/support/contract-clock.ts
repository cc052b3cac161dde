import { SystemClock, type Timer } from '../../src/platform/clock.ts';

/** The real clock, which counts the timers that are set and have neither fired nor been cancelled. */
export class CountingClock extends SystemClock {
  readonly #open = new Set<object>();

  get timers(): number {
    return this.#open.size;
  }

  override setTimer(callback: () => void, delayMs: number, options?: { readonly background?: boolean }): Timer {
    const token = {};
    this.#open.add(token);
    const timer = super.setTimer(
      () => {
        this.#open.delete(token);
        callback();
      },
      delayMs,
      options,
    );
    return {
      cancel: () => {
        this.#open.delete(token);
        timer.cancel();
      },
    };
  }
}

/** Sockets, timers and the like that keep this process alive, by type. */
export function activeResources(): ReadonlyMap<string, number> {
  const groups = Map.groupBy(process.getActiveResourcesInfo(), (type) => type);
  return new Map([...groups].map(([type, all]) => [type, all.length]));
}

/** Types of which there are more than before. */
export function grown(before: ReadonlyMap<string, number>): readonly string[] {
  return [...activeResources()].filter(([type, count]) => count > (before.get(type) ?? 0)).map(([type]) => type);
}
