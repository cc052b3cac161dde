import type { Socket } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import type { Deps } from '../platform/deps.ts';
import { httpMetrics } from './http-metrics.ts';

/** Part of all connections that those of one address may have before one of them has logged in. */
const STRANGERS_OF_ADDRESS_MAX = 0.5;

/** A request of a connection. */
export type ConnectionRequest = {
  /** True if all of it has arrived. */
  readonly complete: boolean;
};

export type Connection = {
  readonly socket: Socket;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly client: Client;
  /** True after a request with a valid login. */
  isKnown: boolean;
  /** Request that is not answered yet. */
  request: ConnectionRequest | undefined;
  /** Socket on which an answer can be sent: the TLS socket after the handshake. */
  answers: Socket | undefined;
  /** When a request must have arrived, on the monotonic clock. It does not matter while one is answered. */
  dueMs: number;
  /** Number of the last use: the lowest is the longest idle one. */
  used: number;
};

/** All connections of one address. */
type Client = {
  /** Address; of IPv6 the network of 64 bits. */
  readonly address: string;
  connections: number;
  /** Of the last search: connections without a login that may be closed, and the longest idle one of them. */
  strangers: number;
  idlest: Connection | undefined;
};

/**
 * Divides the connections of an endpoint. If all are taken, a new one takes the place of another: of the longest idle one
 * without a login, at the address that has most of them; otherwise of the longest idle one. A connection whose request has
 * arrived keeps its place until the answer. So idle connections, however many, keep neither users nor health checks out.
 *
 * Thousands of connections a second may come and go. The search for a place allocates nothing, and the connections are in
 * an array: a `Map` with many deletions leaves old tables behind, each of which keeps its connections until V8 collects
 * the old generation.
 */
export class ConnectionBudget {
  readonly #max: number;
  readonly #metrics;
  readonly #connections: Connection[] = [];
  readonly #clients = new Map<string, Client>();
  #uses = 0;

  constructor(max: number, deps: Deps) {
    this.#max = max;
    this.#metrics = deps.metrics.of(httpMetrics);
  }

  /** Connections in no order. */
  get connections(): readonly Connection[] {
    return this.#connections;
  }

  /**
   * Gives a new connection a place, until it closes.
   *
   * @param dueMs When a request must have arrived, on the monotonic clock.
   * @returns Undefined if it was closed, as no other connection may be closed for it.
   */
  admit(socket: Socket, dueMs: number): Connection | undefined {
    const client = this.#client(normalizeIP(socket.remoteAddress ?? '', 64));
    const victim = this.#victim(client);
    if (victim === 'none') {
      this.#metrics.andon_http_connections_refused_total.inc();
      this.#forget(client);
      socket.destroy();
      return undefined;
    }
    if (victim !== undefined) {
      this.#metrics.andon_http_connections_replaced_total.inc();
      this.#remove(victim);
      victim.socket.destroy();
    }
    const { remoteAddress, remotePort } = socket;
    const state = { isKnown: false, request: undefined, answers: undefined, dueMs, used: (this.#uses += 1) };
    const connection = { socket, remoteAddress, remotePort, client, ...state };
    client.connections += 1;
    this.#connections.push(connection);
    socket.once('close', () => this.#remove(connection));
    this.#metrics.andon_http_connections.inc();
    return connection;
  }

  /** Returns the connection of a socket, by address and port: the TLS socket of a request is not the one that was admitted. */
  connectionOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): Connection | undefined {
    return this.#connections.find((each) => each.remotePort === remotePort && each.remoteAddress === remoteAddress);
  }

  /** Notes that a request has arrived. @param isKnown True if it has a valid login. */
  use(connection: Connection, request: ConnectionRequest, isKnown: boolean): void {
    connection.isKnown = isKnown;
    connection.request = request;
    connection.used = this.#uses += 1;
  }

  /** Returns the connection that gives way to a new one; undefined if there is room, 'none' if none may be closed. */
  #victim(newcomer: Client): Connection | 'none' | undefined {
    for (const client of this.#clients.values()) {
      client.strangers = 0;
      client.idlest = undefined;
    }
    let idlest: Connection | undefined;
    let most: Client = newcomer;
    for (const connection of this.#connections) {
      if (connection.request?.complete === true) continue;
      idlest = longerIdle(idlest, connection);
      if (connection.isKnown) continue;
      const { client } = connection;
      client.strangers += 1;
      client.idlest = longerIdle(client.idlest, connection);
      if (client.strangers > most.strangers) most = client;
    }
    if (newcomer.strangers >= Math.ceil(this.#max * STRANGERS_OF_ADDRESS_MAX)) return newcomer.idlest;
    if (this.#connections.length < this.#max) return undefined;
    return most.idlest ?? idlest ?? 'none';
  }

  #remove(connection: Connection): void {
    const index = this.#connections.indexOf(connection);
    if (index === -1) return;
    const last = this.#connections.pop();
    if (last !== undefined && last !== connection) this.#connections[index] = last;
    connection.client.connections -= 1;
    this.#forget(connection.client);
    this.#metrics.andon_http_connections.dec();
  }

  #client(address: string): Client {
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = { address, connections: 0, strangers: 0, idlest: undefined };
      this.#clients.set(address, client);
    }
    return client;
  }

  #forget(client: Client): void {
    client.idlest = undefined;
    if (client.connections === 0) this.#clients.delete(client.address);
  }
}

function longerIdle(a: Connection | undefined, b: Connection): Connection {
  return a === undefined || b.used < a.used ? b : a;
}
