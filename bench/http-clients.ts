import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';

/** A client that sends the same request repeatedly over a persistent connection, one after another. */
export type HttpClient = Disposable & {
  /** @returns Status code, after the whole answer has arrived. */
  send(): Promise<number>;
};

/**
 * 'raw': on a socket, with a request that was built once, which costs almost no CPU. 'node': the HTTP client that a program
 * would use.
 */
export type HttpClientKind = 'raw' | 'node';

export function openClient(kind: HttpClientKind, url: string, body: string): Promise<HttpClient> {
  switch (kind) {
    case 'raw':
      return RawClient.open(url, body);
    case 'node':
      return Promise.resolve(new NodeClient(url, body));
  }
}

const HEADER_END = '\r\n\r\n';

/** Answers must have a content-length. */
class RawClient implements HttpClient {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #received = '';
  #waiting: PromiseWithResolvers<number> | undefined;

  private constructor(socket: Socket, sent: Buffer) {
    this.#socket = socket;
    this.#request = sent;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('close', () => this.#waiting?.reject(new Error('The server closed the connection')));
    socket.on('error', (error) => this.#waiting?.reject(error));
  }

  static async open(url: string, body: string): Promise<RawClient> {
    const { host, hostname, port, pathname } = new URL(url);
    const lines = [
      `POST ${pathname} HTTP/1.1`,
      `host: ${host}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
    ];
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket, Buffer.from(lines.join('\r\n') + HEADER_END + body));
  }

  send(): Promise<number> {
    this.#waiting = Promise.withResolvers<number>();
    this.#socket.write(this.#request);
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

class NodeClient implements HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;
  readonly #body: string;

  constructor(url: string, body: string) {
    this.#url = url;
    this.#body = body;
  }

  send(): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(this.#body) };
      const sent = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
      });
      sent.on('error', reject);
      sent.end(this.#body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
