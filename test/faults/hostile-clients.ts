import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';

const program = join(import.meta.dirname, 'hostile-process.ts');

/** Clients that want to keep others out of endpoints. @see hostile-process.ts */
export class HostileClients implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #lines: Interface;

  private constructor(count: number, urls: readonly string[]) {
    const ports = urls.map((url) => new URL(url).port);
    this.#child = spawn(process.execPath, [program, String(count), ...ports], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#child.stdout);
  }

  /** Resolves when each client has connected once. */
  static async start(count: number, urls: readonly string[]): Promise<HostileClients> {
    const clients = new HostileClients(count, urls);
    await once(clients.#lines, 'line');
    return clients;
  }

  /** Ends all. @returns Number of connections that they made. */
  async end(): Promise<number> {
    const last = once(this.#lines, 'line');
    this.#child.kill('SIGTERM');
    const { connections } = JSON.parse(String((await last)[0])) as { readonly connections: number };
    return connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
