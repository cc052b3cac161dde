/** Records events, and lets a test wait for one; the timeout of the test is the limit. */
export class Recorder<T> {
  readonly items: T[] = [];
  readonly #waiting = new Set<() => void>();

  /** A listener: `connection.onState(recorder.push)`. */
  readonly push = (item: T): void => {
    this.items.push(item);
    for (const check of this.#waiting) check();
  };

  /** Returns the first matching item, past or future, from the position `from`. */
  when(fits: (item: T) => boolean, from = 0): Promise<T> {
    return new Promise((resolve) => {
      const check = (): void => {
        const found = this.items.slice(from).find(fits);
        if (found === undefined) return;
        this.#waiting.delete(check);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Resolves once there are `count` items. */
  async count(count: number): Promise<void> {
    while (this.items.length < count) {
      const have = this.items.length;
      await this.when(() => true, have);
    }
  }
}
