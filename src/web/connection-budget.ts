import type { Server, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Deps } from '../platform/deps.ts';
import { httpMetrics } from './http-metrics.ts';

/** Part of all connections that those of one address may have before one of them has logged in. */
const STRANGERS_OF_ADDRESS_MAX = 0.5;

type Connection = {
  readonly socket: Socket;
  readonly address: string;
  /** True after a request with a valid login. */
  isKnown: boolean;
};

/**
 * Divides the connections of an endpoint. If all are taken, a new one takes the place of the one that waits longest among
 * those that never logged in, so that idle connections, however many, keep neither users nor health checks out.
 */
export class ConnectionBudget {
  readonly #max: number;
  readonly #metrics;
  /** By address and port of the client, the longest unused first: the TLS socket of a request is not the one of `connection`. */
  readonly #connections = new Map<string, Connection>();

  constructor(max: number, deps: Deps) {
    this.#max = max;
    this.#metrics = deps.metrics.of(httpMetrics);
  }

  limit(app: FastifyInstance): void {
    const server: Server = app.server;
    server.on('connection', (socket: Socket) => this.#admit(socket));
    // After the check of the login.
    app.addHook('preParsing', async ({ caller, raw }) => {
      const key = keyOf(raw.socket);
      const connection = this.#connections.get(key);
      if (connection === undefined) return;
      connection.isKnown ||= caller !== undefined;
      this.#connections.delete(key);
      this.#connections.set(key, connection);
    });
  }

  #admit(socket: Socket): void {
    const key = keyOf(socket);
    const connection = { socket, address: socket.remoteAddress ?? '', isKnown: false };
    const victim = this.#victim(connection.address);
    if (victim === 'none') {
      this.#metrics.andon_http_connections_refused_total.inc();
      socket.destroy();
      return;
    }
    if (victim !== undefined) {
      this.#metrics.andon_http_connections_replaced_total.inc();
      this.#remove(victim);
      victim.socket.destroy();
    }
    this.#connections.set(key, connection);
    socket.once('close', () => {
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
      this.#metrics.andon_http_connections.set(this.#connections.size);
    });
    this.#metrics.andon_http_connections.set(this.#connections.size);
  }

  /** Returns the connection that gives way to a new one; undefined if there is room, 'none' if none may be closed. */
  #victim(address: string): Connection | undefined | 'none' {
    const strangers = [...this.#connections.values()].filter(({ isKnown }) => !isKnown);
    const own = strangers.filter((each) => each.address === address);
    if (own.length >= Math.ceil(this.#max * STRANGERS_OF_ADDRESS_MAX)) return own[0];
    if (this.#connections.size < this.#max) return undefined;
    return strangers[0] ?? 'none';
  }

  #remove(connection: Connection): void {
    for (const [key, each] of this.#connections) if (each === connection) this.#connections.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
