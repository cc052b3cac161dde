import { setTimeout as wait } from 'node:timers/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A line between a client and a server that can stop without a close, as after a pulled cable, or pass one byte a second. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #dead = false;
  #trickles = false;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const target = connect(targetPort, '127.0.0.1');
      this.#join(client, target);
      this.#join(target, client);
    });
  }

  static async listen(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** True: passes one byte a second in each direction, and reads no more than that. False: at full speed again. */
  set trickles(trickles: boolean) {
    this.#trickles = trickles;
  }

  /** Stops all bytes, in both directions, on existing and new connections. */
  die(): void {
    this.#dead = true;
  }

  revive(): void {
    this.#dead = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #pass(from: Socket, chunk: Buffer, to: Socket): Promise<void> {
    if (!this.#trickles) return void to.write(chunk);
    from.pause();
    let at = 0;
    for (; this.#trickles && at < chunk.length && !to.destroyed; at += 1) {
      to.write(chunk.subarray(at, at + 1));
      await wait(1000);
    }
    if (at < chunk.length && !to.destroyed) to.write(chunk.subarray(at));
    from.resume();
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (chunk) => {
      if (!this.#dead) void this.#pass(from, chunk, to);
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      if (!this.#dead) to.destroy();
    });
  }
}
