import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../platform/clock.ts';

const CHECK_MS = 2_000;

export type ActivationMonitorOptions = {
  readonly directory: string;
  /** Names of the loaded models; called at each check. */
  readonly names: () => readonly string[];
  readonly clock: Clock;
};

/** Detects that `andon models activate` or `rollback` wrote a model's `active` file, also with the same version. */
export class ActivationMonitor implements Disposable {
  readonly #options: ActivationMonitorOptions;
  /** Modification time of each model's `active` file. */
  #seen: ReadonlyMap<string, number | undefined> = new Map();
  #onChange: () => void = () => undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ActivationMonitorOptions) {
    this.#options = options;
  }

  /** @param onChange Called after each activation, also after those reported by `report`. */
  start(onChange: () => void): void {
    this.#onChange = onChange;
    void this.#check();
  }

  /** Reports an activation that this process made, without waiting for the next check. */
  report(): void {
    this.#onChange();
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #check(): Promise<void> {
    const { directory, names, clock } = this.#options;
    const found = await Promise.all(
      names().map(async (name) => [name, await writtenAtMs(join(directory, name, 'active'))] as const),
    );
    if (this.#stopped) return;
    const before = this.#seen;
    this.#seen = new Map(found);
    if (found.some(([name, atMs]) => before.has(name) && before.get(name) !== atMs)) this.#onChange();
    this.#timer = clock.setTimer(() => void this.#check(), CHECK_MS, { background: true });
  }
}

/** @returns Undefined if no version is active. */
async function writtenAtMs(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}
