import { join } from 'node:path';
import type { Clock, Timer } from '../platform/clock.ts';
import { readPointer } from './model-activation.ts';

const LOOK_MS = 2_000;

export type ActivationWatchOptions = {
  readonly directory: string;
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly onChange: () => void;
};

/** Notices in a running agent that `andon models activate` or `rollback` named another version. */
export class ActivationWatch implements Disposable {
  readonly #options: ActivationWatchOptions;
  #seen: string | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ActivationWatchOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#look();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { directory, names, clock, onChange } = this.#options;
    const versions = await Promise.all(names.map((name) => readPointer(join(directory, name, 'active'))));
    if (this.#stopped) return;
    const now = versions.join();
    if (this.#seen !== undefined && this.#seen !== now) onChange();
    this.#seen = now;
    this.#timer = clock.setTimer(() => void this.#look(), LOOK_MS, { background: true });
  }
}
