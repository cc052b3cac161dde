import type { Connection, ConnectionRequest } from '../../web/connection-budget.ts';

/** Open calls of one connection. The connection keeps its place while the request of one has arrived and is not answered. */
export class ConnectionCalls implements ConnectionRequest {
  #open = 0;
  #arrived = 0;

  get complete(): boolean {
    return this.#arrived > 0;
  }

  opened(): void {
    this.#open += 1;
  }

  arrived(): void {
    this.#arrived += 1;
  }

  answered(): void {
    this.#arrived -= 1;
  }

  closed(connection: Connection): void {
    this.#open -= 1;
    if (this.#open === 0) connection.request = undefined;
  }
}
