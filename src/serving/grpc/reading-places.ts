/** Bounds the number of messages that arrive at the same time. Calls without a place wait in their order, unread. */
export class ReadingPlaces {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Calls `begin` when there is a place.
   *
   * @returns Function that gives the place back, or ends the wait. It may be called again.
   */
  enter(begin: () => void): () => void {
    let state: 'waiting' | 'reading' | 'left' = 'waiting';
    const start = () => {
      state = 'reading';
      this.#free -= 1;
      begin();
    };
    if (this.#free > 0) start();
    else this.#waiting.add(start);
    return () => {
      this.#waiting.delete(start);
      const hadPlace = state === 'reading';
      state = 'left';
      if (!hadPlace) return;
      this.#free += 1;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    };
  }
}
