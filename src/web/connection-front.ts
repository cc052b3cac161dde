import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { type Connection, ConnectionBudget } from './connection-budget.ts';

export type FrontOptions = {
  readonly isTls: boolean;
  readonly maxConnections: number;
  /** Longest time for the headers of a request to arrive. */
  readonly headersTimeoutMs: number;
  /** Longest time between an answer and the next request of a connection. */
  readonly keepAliveMs: number;
  /** Answers a client whose request did not arrive in time, and closes the connection. */
  readonly onLate: (socket: Socket) => void;
  readonly deps: Deps;
};

/** Connections that exceed their time are closed this late at most. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * Listens for an endpoint, and passes a connection to it with the first bytes that arrive. Until then a connection has no
 * HTTP parser and no TLS: a client that only connects, however often, costs a tenth of the memory.
 *
 * As the HTTP server does not listen itself, it has no deadline for headers. The front has one.
 */
export class ConnectionFront {
  readonly #app: FastifyInstance;
  readonly #options: FrontOptions;
  readonly #budget: ConnectionBudget;
  readonly #servers: Server[] = [];
  #timer: Timer | undefined;

  constructor(app: FastifyInstance, options: FrontOptions) {
    this.#app = app;
    this.#options = options;
    this.#budget = new ConnectionBudget(options.maxConnections, options.deps);
    // After the check of the login, in `onRequest`.
    app.addHook('preParsing', async ({ caller, raw }) => {
      const connection = this.#budget.connectionOf(raw.socket);
      if (connection !== undefined)
        this.#budget.use(connection, raw, caller !== undefined && caller.kind !== 'anonymous');
    });
    app.addHook('onResponse', async ({ raw }) => {
      const connection = this.#budget.connectionOf(raw.socket);
      if (connection === undefined) return;
      if (connection.request === raw) connection.request = undefined;
      connection.dueMs = this.#nowMs() + options.keepAliveMs + options.headersTimeoutMs;
    });
    app.server.on('secureConnection', (socket: TLSSocket) => {
      const connection = this.#budget.connectionOf(socket);
      if (connection !== undefined) connection.answers = socket;
    });
  }

  /** Listens on each address of the host. @throws {Error} The first address cannot be used. */
  async listen(host: string, port: number): Promise<void> {
    const hosts = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
    for (const each of hosts) {
      const server = createServer({ allowHalfOpen: !this.#options.isTls, noDelay: true }, (socket) =>
        this.#take(socket),
      );
      server.listen({ host: each, port: this.address?.port ?? port });
      try {
        await once(server, 'listening');
        this.#servers.push(server);
      } catch (error) {
        // A box without IPv6 may have two addresses for localhost.
        if (this.#servers.length === 0) throw error;
      }
    }
    this.#look();
  }

  /** Address of the first server; undefined if none listens. */
  get address(): AddressInfo | undefined {
    const address = this.#servers[0]?.address();
    return typeof address === 'object' ? (address ?? undefined) : undefined;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    const closed = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    for (const { socket } of this.#budget.connections) socket.destroy();
    await Promise.all(closed);
  }

  #take(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const connection = this.#budget.admit(socket, this.#nowMs() + this.#options.headersTimeoutMs);
    if (connection === undefined) return;
    socket.once('readable', () => {
      // The client has closed the connection.
      if (socket.readableLength === 0) return void socket.destroy();
      if (!this.#options.isTls) connection.answers = socket;
      // The documented way to pass a connection to an HTTP or TLS server.
      this.#app.server.emit('connection', socket);
    });
  }

  #look(): void {
    const nowMs = this.#nowMs();
    for (const { answers, socket } of this.#budget.connections.filter((each) => this.#isLate(each, nowMs))) {
      if (answers === undefined || answers.writableEnded) socket.destroy();
      else this.#options.onLate(answers);
    }
    this.#timer = this.#options.deps.clock.setTimer(() => this.#look(), LOOK_INTERVAL_MS, { background: true });
  }

  #isLate({ request, answers, dueMs }: Connection, nowMs: number): boolean {
    if (request !== undefined) return false;
    // After the last answer: a client that does not read it would keep its place, as one in the middle of a renegotiation.
    return nowMs >= (answers?.writableEnded === true ? dueMs - this.#options.keepAliveMs : dueMs);
  }

  #nowMs(): number {
    return this.#options.deps.clock.monotonicMs();
  }
}
