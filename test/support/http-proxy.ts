import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** Behaviour of the proxy on the next request, instead of forwarding it. */
export type ProxyFault =
  | { readonly type: 'status'; readonly status: number }
  | { readonly type: 'hang' }
  | { readonly type: 'reset' };

/** A forward proxy on 127.0.0.1. It has names of its own, so that tests need no DNS. */
export class HttpProxy implements AsyncDisposable {
  /** First line and credentials of each request, in order: `CONNECT lake.example:443`. */
  readonly requests: { readonly line: string; readonly authorization: string | undefined }[] = [];
  fault: ProxyFault | undefined;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  /** @param hosts Port on 127.0.0.1 by host, as in a URL: `lake.example`, `lake.example:8443`. */
  constructor(hosts: Readonly<Record<string, number>>) {
    this.#ports = new Map(Object.entries(hosts));
    this.#server = createServer((incoming, response) => this.#forward(incoming, response));
    this.#server.on('connect', (incoming: IncomingMessage, socket: Duplex) => this.#tunnel(incoming, socket));
    this.#server.on('connection', (socket: Duplex) => this.#keep(socket));
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket));
  }

  #answer(port: number | undefined): ProxyFault {
    return this.fault ?? { type: 'status', status: port === undefined ? 502 : 200 };
  }

  #note({ method, url, headers }: IncomingMessage): void {
    this.requests.push({ line: `${method} ${url}`, authorization: headers['proxy-authorization'] });
  }

  /** Connects `CONNECT host:port` with the server of this name. */
  #tunnel(incoming: IncomingMessage, socket: Duplex): void {
    this.#note(incoming);
    const port = this.#ports.get(incoming.url?.replace(/:443$/, '') ?? '');
    const fault = this.#answer(port);
    // Reads on, to notice that the client has gone.
    if (fault.type === 'hang') return void socket.on('end', () => socket.destroy()).resume();
    if (fault.type === 'reset') return void socket.destroy();
    const { status } = fault;
    if (status !== 200 || port === undefined) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const server = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(server).pipe(socket);
    });
    this.#keep(server);
    socket.on('close', () => server.destroy());
    server.on('close', () => socket.destroy());
  }

  /** Forwards `GET http://host/path`. */
  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    this.#note(incoming);
    const { host, pathname, search } = new URL(incoming.url ?? '');
    const port = this.#ports.get(host);
    const fault = this.#answer(port);
    if (fault.type === 'hang') return;
    if (fault.type === 'reset') return void incoming.socket.destroy();
    const { status } = fault;
    if (status !== 200) return void response.writeHead(status).end();
    const { method, headers } = incoming;
    const onward = { host: '127.0.0.1', port, path: `${pathname}${search}`, method, headers } as const;
    incoming.pipe(
      forward(onward, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      }).on('error', () => response.destroy()),
    );
  }
}
