import { v2Failure } from '../v2/v2-errors.ts';

type OpenStream = {
  /** True while a request of the stream is answered. */
  readonly isBusy: () => boolean;
  /** Ends the stream. */
  readonly end: () => void;
};

/** Bounds the number of open streams. If all are open, a new one takes the place of the longest idle one. */
export class StreamPlaces {
  readonly #max: number;
  /** The longest idle one is the first. */
  readonly #open = new Set<OpenStream>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns Function that gives the place back. @throws {OperatingError} 'infer-busy' if every open stream is busy. */
  enter(stream: OpenStream): () => void {
    if (this.#open.size >= this.#max) {
      const victim = [...this.#open].find((each) => !each.isBusy());
      if (victim === undefined)
        throw v2Failure('infer-busy', `${this.#max} streams are busy already; that is the most`);
      this.#open.delete(victim);
      victim.end();
    }
    this.#open.add(stream);
    return () => this.#open.delete(stream);
  }

  /** The stream was used. */
  use(stream: OpenStream): void {
    if (this.#open.delete(stream)) this.#open.add(stream);
  }
}
