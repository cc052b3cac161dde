import type { Deps } from '../../../platform/deps.ts';

/**
 * Starts the scans of an agent that are due together one after the other, one in each turn of the event loop.
 *
 * If the reads of 64 devices took turns, every scan would last as long as all of them together. In this order a scan ends soon
 * after it began, and its values are of nearly the same time. A slow device delays no other: a turn without responses takes
 * microseconds.
 */
export class ScanQueue {
  static readonly #queues = new WeakMap<Deps, ScanQueue>();
  readonly #waiting: (() => void)[] = [];
  #hasBegun = false;

  /** Returns the queue of one agent, identified by its deps. */
  static of(deps: Deps): ScanQueue {
    const known = ScanQueue.#queues.get(deps);
    if (known !== undefined) return known;
    const queue = new ScanQueue();
    ScanQueue.#queues.set(deps, queue);
    return queue;
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
