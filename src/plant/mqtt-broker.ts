import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** Largest backlog of one slow subscriber before aedes drops it. */
const CLIENT_QUEUE_MAX = 10_000;

/**
 * An MQTT 3.1.1 broker in this process, for the demo, the simulator and the tests.
 *
 * It keeps everything in memory and accepts every client. A plant needs a real broker.
 */
export class MqttBroker implements AsyncDisposable {
  readonly aedes: Aedes;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(aedes: Aedes) {
    this.aedes = aedes;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.setNoDelay(true);
      aedes.handle(socket);
    });
  }

  /** Resolves when it listens, on loopback only because it requires no password. Port 0 selects a free one. Rejects with Node's error (`EADDRINUSE`). */
  static async listen({ port }: { readonly port: number }): Promise<MqttBroker> {
    const broker = new MqttBroker(await Aedes.createBroker({ queueLimit: CLIENT_QUEUE_MAX }));
    await new Promise<void>((resolve, reject) => {
      broker.#server.once('error', reject);
      broker.#server.listen(port, '127.0.0.1', resolve);
    });
    // A server that listens on TCP has an address with a port.
    broker.#port = (broker.#server.address() as AddressInfo).port;
    return broker;
  }

  /** Port that it listens on; it stays after the end. */
  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.aedes.close(() => resolve());
    });
    await closed;
  }
}
