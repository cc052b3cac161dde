/** Lets many callers share one costly operation. A caller that joins during a run waits for the next run, together with all others. */
export class GroupedWait {
  readonly #act: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(act: () => Promise<void>) {
    this.#act = act;
  }

  /** Settles with the result of a run that starts after this call. */
  join(): Promise<void> {
    this.#next ??= this.#runAfter(this.#running);
    return this.#next;
  }

  async #runAfter(previous: Promise<void> | undefined): Promise<void> {
    // A failed run is reported to the callers of that run only.
    await previous?.catch(() => undefined);
    // Includes messages of the same network packet.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#running = this.#act();
    this.#next = undefined;
    await this.#running;
  }
}
