import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';

const HEADER_END = '\r\n\r\n';

/** A request as it goes over the wire: made once, so that a client costs the machine next to nothing. */
export function postRequest(url: string, body: string): Buffer {
  const { host, pathname } = new URL(url);
  const lines = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(lines.join('\r\n') + HEADER_END + body);
}

/** A connection that is kept, on a raw socket; one request at a time. Answers must say their length. */
export class HttpConnection implements Disposable {
  readonly #socket: Socket;
  #received = '';
  #waiting: PromiseWithResolvers<number> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('close', () => this.#waiting?.reject(new Error('The server closed the connection')));
    socket.on('error', (error) => this.#waiting?.reject(error));
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new HttpConnection(socket);
  }

  /** @returns Status code, once the whole answer is there. */
  send(request: Buffer): Promise<number> {
    this.#waiting = Promise.withResolvers<number>();
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const headerEnd = this.#received.indexOf(HEADER_END);
    if (headerEnd < 0) return;
    const header = this.#received.slice(0, headerEnd);
    const length = Number(/^content-length: (\d+)$/im.exec(header)?.[1] ?? Number.NaN);
    if (!(this.#received.length >= headerEnd + HEADER_END.length + length)) return;
    this.#received = '';
    this.#waiting?.resolve(Number(header.split(' ', 2)[1]));
  }
}
