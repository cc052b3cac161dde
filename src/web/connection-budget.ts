import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import type { Deps } from '../platform/deps.ts';
import { httpMetrics } from './http-metrics.ts';

/** Part of all connections that those of one address may have before one of them has logged in. */
const STRANGERS_OF_ADDRESS_MAX = 0.5;

type Connection = {
  readonly socket: Socket;
  /** Address of the client; of IPv6 the network of 64 bits. */
  readonly address: string;
  /** True after a request with a valid login. */
  isKnown: boolean;
  /** Request that is not answered yet. */
  request: IncomingMessage | undefined;
};

/**
 * Divides the connections of an endpoint. If all are taken, a new one takes the place of another: of the longest idle one
 * without a login, at the address that has most of them; otherwise of the longest idle one. A connection whose request has
 * arrived keeps its place until the answer. So idle connections, however many, keep neither users nor health checks out.
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
    // After the check of the login, in `onRequest`.
    app.addHook('preParsing', async ({ caller, raw }) => {
      const key = keyOf(raw.socket);
      const connection = this.#connections.get(key);
      if (connection === undefined) return;
      connection.isKnown = caller !== undefined && caller.kind !== 'anonymous';
      connection.request = raw;
      this.#connections.delete(key);
      this.#connections.set(key, connection);
    });
    app.addHook('onResponse', async ({ raw }) => {
      const connection = this.#connections.get(keyOf(raw.socket));
      if (connection?.request === raw) connection.request = undefined;
    });
  }

  #admit(socket: Socket): void {
    const key = keyOf(socket);
    const address = normalizeIP(socket.remoteAddress ?? '', 64);
    const victim = this.#victim(address);
    if (victim === 'none') {
      this.#metrics.andon_http_connections_refused_total.inc();
      socket.destroy();
      return;
    }
    if (victim !== undefined) {
      this.#metrics.andon_http_connections_replaced_total.inc();
      this.#connections.delete(victim);
    }
    const connection: Connection = { socket, address, isKnown: false, request: undefined };
    this.#connections.set(key, connection);
    socket.once('close', () => {
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
      this.#metrics.andon_http_connections.set(this.#connections.size);
    });
    this.#metrics.andon_http_connections.set(this.#connections.size);
  }

  /**
   * Closes the connection that gives way to a new one.
   *
   * @returns Its key; undefined if there is room, 'none' if none may be closed.
   */
  #victim(address: string): string | undefined {
    const free = [...this.#connections].filter(([, { request }]) => request?.complete !== true);
    const strangers = free.filter(([, { isKnown }]) => !isKnown);
    const perAddress = Map.groupBy(strangers, ([, connection]) => connection.address);
    const own = perAddress.get(address) ?? [];
    const isOwnFull = own.length >= Math.ceil(this.#max * STRANGERS_OF_ADDRESS_MAX);
    if (!isOwnFull && this.#connections.size < this.#max) return undefined;
    const most = [...perAddress.values()].toSorted((a, b) => b.length - a.length)[0];
    const [key, connection] = (isOwnFull ? own : (most ?? free))[0] ?? [];
    if (key === undefined) return 'none';
    connection?.socket.destroy();
    return key;
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
