import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export type DeviceEvent =
  | { readonly port: number }
  | { readonly function: number; readonly address: number; readonly value: number }
  | { readonly tripped: true };

/** A coupler of libmodbus with a watchdog on a heartbeat register, compiled from libmodbus-outputs.c in this folder. */
export class LibmodbusOutputs implements AsyncDisposable {
  readonly events: DeviceEvent[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #folder: string;
  readonly #listeners = new Set<() => void>();

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, folder: string) {
    this.#child = child;
    this.#folder = folder;
    createInterface(child.stdout).on('line', (line) => {
      this.events.push(JSON.parse(line) as DeviceEvent);
      for (const listener of this.#listeners) listener();
    });
  }

  /** @param safe Safe value by coil. */
  static async start(heartbeat: number, timeoutMs: number, safe: Readonly<Record<number, 0 | 1>>) {
    const folder = mkdtempSync(join(tmpdir(), 'libmodbus-outputs-'));
    const program = join(folder, 'outputs');
    const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'libmodbus'], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
    execFileSync('gcc', ['-O1', '-o', program, join(import.meta.dirname, 'libmodbus-outputs.c'), ...flags]);
    const coils = Object.entries(safe).map(([coil, value]) => `${coil}=${value}`);
    const child = spawn(program, [String(heartbeat), String(timeoutMs), ...coils], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const device = new LibmodbusOutputs(child, folder);
    await device.until((events) => events.length > 0);
    return device;
  }

  get url(): string {
    const [first] = this.events;
    return `tcp://127.0.0.1:${first !== undefined && 'port' in first ? first.port : 0}`;
  }

  /** Resolves when the events so far fulfil a condition. */
  until(fits: (events: readonly DeviceEvent[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!fits(this.events)) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
  }

  /** Values that were written to a coil or register, oldest first. */
  written(kind: 'coil' | 'register', address: number): readonly number[] {
    return this.events.flatMap((event) => {
      if (!('function' in event) || event.address !== address) return [];
      const isCoil = event.function === 5 || event.function === 15;
      return isCoil === (kind === 'coil') ? [event.value] : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
