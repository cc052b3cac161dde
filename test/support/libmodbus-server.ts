import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** One value that the device serves, as libmodbus encoded it. */
export type ServedTag = {
  readonly register: 'holding' | 'input' | 'coil' | 'discrete';
  readonly address: number;
  readonly type: string;
  readonly byteOrder: string;
  readonly value: number;
};

/**
 * A Modbus TCP device of libmodbus, or an RTU device on a serial port, compiled from libmodbus-server.c in this folder.
 * Disposal throws if it received any request other than a read.
 */
export class LibmodbusServer implements AsyncDisposable {
  readonly port: number;
  readonly tags: readonly ServedTag[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, tags: readonly ServedTag[]) {
    this.#child = child;
    this.port = port;
    this.tags = tags;
  }

  /** @param serialPath Serves RTU there instead of Modbus TCP. */
  static async start(serialPath?: string): Promise<LibmodbusServer> {
    const program = join(mkdtempSync(join(tmpdir(), 'libmodbus-')), 'server');
    const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'libmodbus'], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
    execFileSync('gcc', ['-O1', '-o', program, join(import.meta.dirname, 'libmodbus-server.c'), ...flags]);
    const child = spawn(program, serialPath === undefined ? [] : [serialPath], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await once(createInterface(child.stdout), 'line');
    const { port, tags } = JSON.parse(String(line)) as { readonly port: number; readonly tags: readonly ServedTag[] };
    return new LibmodbusServer(child, port, tags);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    if (this.#child.exitCode !== 0)
      throw new Error(`libmodbus ended with ${this.#child.exitCode}: 3 if a frame was not a read`);
  }
}

/** Header of Debian's libmodbus-dev. A test also needs gcc and pkg-config. */
export const libmodbusHeader = '/usr/include/modbus/modbus.h';
