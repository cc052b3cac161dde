import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { freePort } from './free-port.ts';
import { pythonWith } from './programs.ts';

const script = join(import.meta.dirname, 'opcua-server.py');

/** Name for `describeWith`. */
export const opcuaPeer = pythonWith('asyncua', 'asyncua');

export type OpcuaServerOptions = {
  readonly port?: number;
  /** Namespaces in their order; the nodes are in urn:acme:line. */
  readonly uris?: readonly string[];
  /** Folder of the server's certificate; without it, the server has no security. */
  readonly folder?: string;
  readonly users?: Readonly<Record<string, string>>;
  /** Interval at which Line.Tick counts. */
  readonly tickMs?: number;
};

type PeerProcess = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };

/** An OPC UA server of asyncua, in a process of its own. */
export class OpcuaServer implements AsyncDisposable {
  readonly port: number;
  readonly #child: PeerProcess;
  readonly #lines: Interface;

  private constructor(port: number, child: PeerProcess) {
    this.port = port;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
  }

  static async start({ port, folder, ...options }: OpcuaServerOptions = {}): Promise<OpcuaServer> {
    const usedPort = port ?? (await freePort());
    const settings = { ...options, port: usedPort, ...(folder === undefined ? {} : { security: true, folder }) };
    const child = spawn('python3', [script, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const server = new OpcuaServer(usedPort, child);
    await server.#line();
    return server;
  }

  get url(): string {
    return `opc.tcp://127.0.0.1:${this.port}/line`;
  }

  /** Writes a value to Line.NODE. */
  async write(command: {
    readonly node: string;
    readonly value?: unknown;
    readonly type?: string;
    readonly status?: string;
    readonly time?: number;
  }): Promise<void> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    await this.#line();
  }

  /** Ends without closing any session, as with a power cut. */
  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }

  async #line(): Promise<void> {
    await Promise.race([
      once(this.#lines, 'line'),
      once(this.#child, 'exit').then(() => Promise.reject(new Error('the OPC UA server ended'))),
    ]);
  }
}
