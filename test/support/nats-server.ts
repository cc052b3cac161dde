import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { jetstreamManager, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type FleetKeys, natsServerConfig } from '../../src/fleet/service/fleet-keys.ts';
import { freePort } from './free-port.ts';
import { programPath } from './programs.ts';

export type NatsServerOptions = {
  /** Lines of the configuration. */
  readonly lines?: readonly string[];
  /** Lines of its section jetstream. Default: sync_interval: always. */
  readonly jetstream?: readonly string[];
  /** Keys of a fleet: only its credentials are admitted. */
  readonly fleet?: FleetKeys;
};

/** nats-server with JetStream as a real process, with its own folder. It can be killed and started again. */
export class NatsServer implements AsyncDisposable {
  readonly port: number;
  readonly monitorPort: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'andon-nats-'));
  readonly #config: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, monitorPort: number, options: NatsServerOptions) {
    this.port = port;
    this.monitorPort = monitorPort;
    this.#config = join(this.#folder, 'nats.conf');
    this.configure(options);
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), await freePort(), options);
    if (options.fleet !== undefined) {
      const place = { listen: `127.0.0.1:${server.port}`, folder: server.#folder };
      writeFileSync(server.#config, await natsServerConfig(options.fleet, place));
    }
    await server.begin();
    if (options.fleet !== undefined) return server;
    // The server removes the folder of the streams with the last one, which may fail the creation of the next (2.15.1).
    await server.addStream({ name: 'KEEPER', subjects: ['keeper'] });
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Writes the configuration for the next `begin`. */
  configure({ lines = [], jetstream = ['sync_interval: always'] }: NatsServerOptions): void {
    const stored = [`store_dir: "${join(this.#folder, 'store')}"`, ...jetstream].join('\n');
    const listen = [`listen: "127.0.0.1:${this.port}"`, `http: "127.0.0.1:${this.monitorPort}"`];
    writeFileSync(this.#config, [...listen, `jetstream {\n${stored}\n}`, ...lines, ''].join('\n'));
  }

  async begin(): Promise<void> {
    const program = programPath('nats-server') ?? 'nats-server';
    const child = spawn(program, ['-c', this.#config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      if (!line.includes('Server is ready')) continue;
      // Unread output would stop the server once the pipe is full.
      child.stderr.resume();
      return;
    }
    throw new Error(`nats-server did not start:\n${lines.join('\n')}`);
  }

  /** SIGKILL: the server writes nothing more. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: this.url });
  }

  async addStream(config: Partial<StreamConfig> = {}): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(await this.connect(), (open) => open.close());
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'ANDON', subjects: ['andon.v1.>'], storage: StorageType.File, ...config });
  }

  async deleteStream(name = 'ANDON'): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(await this.connect(), (open) => open.close());
    await (await jetstreamManager(connection)).streams.delete(name);
  }

  /** Messages of the stream, in its order. */
  async messages(): Promise<readonly { readonly subject: string; readonly id: string; readonly json: unknown }[]> {
    await using stack = new AsyncDisposableStack();
    const connection = stack.adopt(await this.connect(), (open) => open.close());
    const { streams } = await jetstreamManager(connection);
    const { state } = await streams.info('ANDON');
    const stored = [];
    for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq += 1) {
      const message = await streams.getMessage('ANDON', { seq });
      if (message !== null)
        stored.push({ subject: message.subject, id: message.header.get('Nats-Msg-Id'), json: message.json() });
    }
    return stored;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
