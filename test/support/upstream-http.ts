import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';

/** Fault of the receiver on the next request, instead of storing it and responding with 200. */
export type HttpFault =
  /** Stores, and responds after this number of milliseconds. */
  | { readonly type: 'slow'; readonly delayMs: number }
  /** Stores nothing, and responds with the status. */
  | {
      readonly type: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** Stores nothing, and resets the connection. */
  | { readonly type: 'reset' }
  /** Stores nothing, and never responds. */
  | { readonly type: 'hang' }
  /** Stores, then resets before the response: the agent must repeat. */
  | { readonly type: 'store-then-reset' }
  /** Stores, responds with 200 and then sends a body without end. */
  | { readonly type: 'endless-body' };

export type ReceivedRecord = { readonly id: string; readonly kind: string; readonly [field: string]: unknown };
export type ReceivedRequest = {
  readonly url: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly agent: string;
  readonly records: readonly ReceivedRecord[];
  /** Lists of names, with `values: columns`. */
  readonly columns?: readonly (readonly string[] | null)[];
  readonly bytes: number;
};

/** A receiver of records with fault switches; keeps every record, including repeats. */
export class UpstreamHttp implements AsyncDisposable {
  /** Every request that was read completely, with any response. */
  readonly requests: ReceivedRequest[] = [];
  /** Every record that was stored, in order of arrival, including repeats. */
  readonly stored: ReceivedRecord[] = [];
  /** Taken from the front, one for each request. */
  readonly faults: HttpFault[] = [];
  /** Used if `faults` is empty. */
  fault: HttpFault | undefined;
  connections = 0;
  readonly #server: Server;
  readonly #scheme: string;
  #port = 0;

  constructor(tls?: { readonly cert: string; readonly key: string }) {
    const listener: RequestListener = (request, response) => void this.#take(request, response);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server.on('connection', () => (this.connections += 1));
  }

  /** @param port 0 for any free port, or the port of a stopped receiver. */
  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    // A server on TCP has an address of this form.
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}/ingest`;
  }

  get port(): number {
    return this.#port;
  }

  /** Ids in the order of their first arrival. */
  get ids(): readonly string[] {
    return [...new Set(this.stored.map(({ id }) => id))];
  }

  closeConnections(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // The agent ended the request.
    }
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const { url = '', method = '', headers } = request;
    const isJson = headers['content-type'] === 'application/json';
    const { agent, records, columns } = isJson ? JSON.parse(body.toString('utf8')) : { records: linesIn(body) };
    this.requests.push({ url, method, headers, agent, records, columns, bytes: body.length });
    this.#behave(records, request, response);
  }

  #behave(records: readonly ReceivedRecord[], request: IncomingMessage, response: ServerResponse): void {
    const fault = this.faults.shift() ?? this.fault;
    const store = () => void this.stored.push(...records);
    switch (fault?.type) {
      case undefined:
        store();
        response.end('{"ok":true}');
        return;
      case 'slow':
        store();
        setTimeout(() => response.end('{"ok":true}'), fault.delayMs);
        return;
      case 'status':
        response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
        return;
      case 'reset':
        reset(request.socket);
        return;
      case 'hang':
        return;
      case 'store-then-reset':
        store();
        reset(request.socket);
        return;
      case 'endless-body':
        store();
        response.writeHead(200);
        writeWithoutEnd(response);
    }
  }
}

function reset(socket: Socket): void {
  // Node cannot reset a TLS socket.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

function writeWithoutEnd(response: ServerResponse): void {
  while (!response.destroyed && response.write('x'.repeat(16_384)));
  if (!response.destroyed) response.once('drain', () => writeWithoutEnd(response));
}

/** Lines of line protocol, each of which is its own id: a repeated line is the same point. */
function linesIn(body: Buffer): readonly ReceivedRecord[] {
  const lines = body.toString('utf8').trim().split('\n');
  return lines.map((id) => ({ id, kind: 'line' }));
}
