import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';

/** A serial port (a pty of socat's) whose far end is a device that listens on TCP. It can be pulled out and put back. */
export class SerialLine implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'serial-line-'));
  readonly path = join(this.#folder, 'ttyTEST0');
  readonly #devicePort: number;
  #socat: ChildProcess | undefined;

  private constructor(devicePort: number) {
    this.#devicePort = devicePort;
  }

  static async plugIn(devicePort: number): Promise<SerialLine> {
    const line = new SerialLine(devicePort);
    await line.replug();
    return line;
  }

  get url(): string {
    return `serial://${this.path}?baudRate=115200&parity=none`;
  }

  async replug(): Promise<void> {
    const ends = [`pty,raw,echo=0,link=${this.path}`, `tcp:127.0.0.1:${this.#devicePort},nodelay`];
    this.#socat = spawn('socat', ends, { stdio: 'ignore' });
    await vi.waitUntil(() => existsSync(this.path), { timeout: 60_000 });
  }

  async unplug(): Promise<void> {
    const socat = this.#socat;
    this.#socat = undefined;
    if (socat !== undefined && socat.exitCode === null && socat.signalCode === null) {
      socat.kill('SIGKILL');
      await once(socat, 'exit');
    }
    rmSync(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unplug();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
