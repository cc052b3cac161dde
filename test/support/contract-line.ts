import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Action of a line on a new or an open connection. */
export type LineState =
  | 'open'
  /** Takes connections and passes nothing on, as behind a pulled cable; a connection that met this stays dead. */
  | 'silent'
  /** Resets every connection immediately. */
  | 'refusing';

/** A TCP line to a peer, with faults to switch on that every protocol knows; begins away, with a port of its own. */
export class FaultyLine implements AsyncDisposable {
  /** Connections ever accepted. */
  accepted = 0;
  readonly port: number;
  readonly #targetPort: number;
  readonly #open = new Map<Socket, { dead: boolean }>();
  #state: LineState = 'open';
  #server: Server | undefined;

  private constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
  }

  static async to(targetPort: number): Promise<FaultyLine> {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    return new FaultyLine(port, targetPort);
  }

  /** Connections that the agent holds at the moment. */
  get connections(): number {
    return this.#open.size;
  }

  /** Is there from now on, or there again. */
  async begin(state: LineState = 'open'): Promise<void> {
    this.set(state);
    const server = createServer((socket) => this.#take(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.#server = server;
  }

  /** Ends every connection and is away. */
  async end(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#open.keys()) socket.resetAndDestroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  set(state: LineState): void {
    this.#state = state;
    if (state === 'silent') for (const line of this.#open.values()) line.dead = true;
    if (state === 'refusing') for (const socket of this.#open.keys()) socket.resetAndDestroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  #take(socket: Socket): void {
    this.accepted += 1;
    socket.on('error', () => socket.destroy());
    if (this.#state === 'refusing') {
      socket.resetAndDestroy();
      return;
    }
    const line = { dead: this.#state === 'silent' };
    this.#open.set(socket, line);
    const target = connect(this.#targetPort, '127.0.0.1');
    target.on('error', () => target.destroy());
    socket.on('data', (bytes) => !line.dead && target.write(bytes));
    target.on('data', (bytes) => !line.dead && socket.write(bytes));
    target.on('close', () => !line.dead && socket.destroy());
    socket.on('close', () => {
      this.#open.delete(socket);
      target.destroy();
    });
  }
}
