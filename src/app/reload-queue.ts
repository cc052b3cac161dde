import type { LoadedConfig } from '../config/config-file.ts';
import type { ReloadResult } from './reload.ts';

/** Result of a requested reload; 'refused' if the file is wrong. */
export type ReloadOutcome = ReloadResult | { readonly outcome: 'refused'; readonly reason: string };

type Steps = {
  /** @returns The reason if the file is wrong. */
  readonly read: () => Promise<LoadedConfig | { readonly reason: string }>;
  /** @param superseded A newer configuration waits. */
  readonly apply: (next: LoadedConfig, superseded: AbortSignal) => Promise<ReloadResult>;
};

/**
 * Reads the file again at each request, and applies it if it is valid. The newest file wins: it ends the check of the one before,
 * and one that waits to be applied is left out. A wrong file ends nothing. Requests that wait for one read share it.
 */
export class ReloadQueue {
  readonly #steps: Steps;
  #reading: Promise<void> = Promise.resolve();
  #applying: Promise<void> = Promise.resolve();
  #waiting: Promise<ReloadOutcome> | undefined;
  #newest = new AbortController();

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  request(): Promise<ReloadOutcome> {
    if (this.#waiting !== undefined) return this.#waiting;
    const found = this.#reading.then(() => {
      this.#waiting = undefined;
      return this.#steps.read();
    });
    this.#reading = found.then(() => undefined);
    this.#waiting = found.then((next) => ('reason' in next ? { outcome: 'refused', ...next } : this.#apply(next)));
    return this.#waiting;
  }

  /** Resolves when no reload is under way. */
  async idle(): Promise<void> {
    await this.#reading;
    await this.#applying;
  }

  #apply(next: LoadedConfig): Promise<ReloadOutcome> {
    this.#newest.abort();
    this.#newest = new AbortController();
    const { signal } = this.#newest;
    const result = this.#applying.then(() => (signal.aborted ? superseded : this.#steps.apply(next, signal)));
    this.#applying = result.then(() => undefined);
    return result;
  }
}

const superseded: ReloadResult = { outcome: 'superseded', changed: [], restart: [], reason: undefined };
