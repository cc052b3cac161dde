import type { Deps } from '../../../platform/deps.ts';

/** Sources whose scans are due together. */
const GROUP_SOURCES = 16;
/** Time between two groups: more than a group of 16 devices with 1,000 registers each needs. */
const GROUP_OFFSET_MS = 20;
/** Groups with different due times, so that values of any two devices are at most 60 ms further apart. */
const GROUPS_MAX = 4;

/**
 * Starts the scans of an agent that are due together one after the other, one in each turn of the event loop.
 *
 * If the reads of 64 devices took turns, every scan would last as long as all of them together. In this order a scan ends soon
 * after it began, and its values are of nearly the same time. A slow device delays no other: a turn without responses takes
 * microseconds.
 *
 * More than 16 sources are due in up to four groups, 20 ms apart. So a verdict waits for the work of one group instead of all.
 */
export class ScanQueue {
  static readonly #queues = new WeakMap<Deps, ScanQueue>();
  readonly #waiting: (() => void)[] = [];
  /** Positions of the sources that exist. */
  readonly #positions = new Set<number>();
  #hasBegun = false;

  /** Returns the queue of one agent, identified by its deps. */
  static of(deps: Deps): ScanQueue {
    const known = ScanQueue.#queues.get(deps);
    if (known !== undefined) return known;
    const queue = new ScanQueue();
    ScanQueue.#queues.set(deps, queue);
    return queue;
  }

  /** Adds a source. @returns Its position, the lowest that is free. */
  join(): number {
    let position = 0;
    while (this.#positions.has(position)) position += 1;
    this.#positions.add(position);
    return position;
  }

  /** Frees the position of a source. */
  leave(position: number): void {
    this.#positions.delete(position);
  }

  /** Calls `begin`: immediately if no other scan has begun in this turn. */
  add(begin: () => void): void {
    if (this.#hasBegun) this.#waiting.push(begin);
    else this.#begin(begin);
  }

  #begin(begin: () => void): void {
    this.#hasBegun = true;
    setImmediate(() => {
      this.#hasBegun = false;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#begin(next);
    });
    begin();
  }
}

/** Returns the offset of the due times of a source, in milliseconds; less than the interval. @param position From `join`. */
export function scanOffsetMs(position: number, scanIntervalMs: number): number {
  const groups = Math.min(GROUPS_MAX, Math.max(1, Math.floor(scanIntervalMs / GROUP_OFFSET_MS)));
  return (Math.floor(position / GROUP_SOURCES) % groups) * GROUP_OFFSET_MS;
}
