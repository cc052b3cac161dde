import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../platform/clock.ts';

const LOOK_MS = 2_000;

export type ActivationMonitorOptions = {
  readonly directory: string;
  /** Of the models that are loaded; asked anew at each look. */
  readonly names: () => readonly string[];
  readonly clock: Clock;
  readonly onChange: () => void;
};

/** Notices in a running agent that `andon models activate` or `rollback` named another version, or the same anew. */
export class ActivationMonitor implements Disposable {
  readonly #options: ActivationMonitorOptions;
  /** By model, when its active version was written. */
  #seen: ReadonlyMap<string, number | undefined> = new Map();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ActivationMonitorOptions) {
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
    const found = await Promise.all(
      names().map(async (name) => [name, await writtenAtMs(join(directory, name, 'active'))] as const),
    );
    if (this.#stopped) return;
    const before = this.#seen;
    this.#seen = new Map(found);
    if (found.some(([name, atMs]) => before.has(name) && before.get(name) !== atMs)) onChange();
    this.#timer = clock.setTimer(() => void this.#look(), LOOK_MS, { background: true });
  }
}

/** Undefined where no version is active. */
async function writtenAtMs(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}
