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
    const found = this.#read(this.#reading);
    this.#reading = settled(found);
    this.#waiting = this.#applyFound(found);
    return this.#waiting;
  }

  /** Resolves when no reload is under way. */
  async idle(): Promise<void> {
    await this.#reading;
    await this.#applying;
  }

  async #read(earlier: Promise<void>): ReturnType<Steps['read']> {
    await earlier;
    this.#waiting = undefined;
    return this.#steps.read();
  }

  async #applyFound(found: ReturnType<Steps['read']>): Promise<ReloadOutcome> {
    const next = await found;
    if ('reason' in next) return { outcome: 'refused', ...next };
    this.#newest.abort();
    this.#newest = new AbortController();
    const result = this.#applyAfter(this.#applying, next, this.#newest.signal);
    this.#applying = settled(result);
    return result;
  }

  async #applyAfter(earlier: Promise<void>, next: LoadedConfig, signal: AbortSignal): Promise<ReloadResult> {
    await earlier;
    return signal.aborted ? superseded : this.#steps.apply(next, signal);
  }
}

async function settled(result: Promise<unknown>): Promise<void> {
  await result;
}

const superseded: ReloadResult = { outcome: 'superseded', changed: [], restart: [], reason: undefined };
