import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { vi } from 'vitest';
import { freePort } from './free-port.ts';

const script = join(import.meta.dirname, 'pymodbus-server.py');

/** A device of another project. Holding and input register n have the value n * 3. */
export class PymodbusServer implements AsyncDisposable {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#process = child;
  }

  /**
   * @param framer 'socket' is Modbus TCP.
   * @param files For 'tls': certificate, key and certificate of the authority.
   */
  static async start(framer: 'socket' | 'ascii' | 'tls', files: readonly string[] = []): Promise<PymodbusServer> {
    const port = await freePort();
    const child = spawn('python3', [script, String(port), framer, ...files], { stdio: 'ignore' });
    const server = new PymodbusServer(port, child);
    await vi.waitUntil(() => isOpen(port), { timeout: 60_000 });
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const opened = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return opened;
}
