/** Lets many wait for one costly act: whoever joins while it runs waits for the next run, together with all others. */
export class GroupedWait {
  readonly #act: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(act: () => Promise<void>) {
    this.#act = act;
  }

  /** Settles as a run that begins after this call. */
  join(): Promise<void> {
    this.#next ??= this.#runAfter(this.#running);
    return this.#next;
  }

  async #runAfter(previous: Promise<void> | undefined): Promise<void> {
    // Its failure concerns those who joined it.
    await previous?.catch(() => undefined);
    // Takes along what arrived in the same packet from the network.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#running = this.#act();
    this.#next = undefined;
    await this.#running;
  }
}
