import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Recorder } from './broker-recorder.ts';

export type SunkRequest = {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
};

/** Fault of the service on a request. */
export type SinkFault =
  | { readonly status: number; readonly headers?: Record<string, string> }
  | 'reset'
  | 'hang'
  | 'endless-body';

/** A service that receives messages over HTTP, with fault switches. */
export class MessageSink implements AsyncDisposable {
  /** Requests that were accepted. */
  readonly accepted = new Recorder<SunkRequest>();
  /** Every request. */
  readonly requests = new Recorder<SunkRequest>();
  fault: SinkFault | undefined;
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(tls: { readonly cert: string; readonly key: string } | undefined) {
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#take(request, response);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  }

  static async listen(port = 0, tls?: { readonly cert: string; readonly key: string }): Promise<MessageSink> {
    const sink = new MessageSink(tls);
    await new Promise<void>((resolve) => sink.#server.listen(port, '127.0.0.1', resolve));
    return sink;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sunk = { url: request.url ?? '', headers: request.headers, body: await text(request).catch(() => '') };
    this.requests.push(sunk);
    const { fault } = this;
    if (fault === 'reset') request.socket.destroy();
    else if (typeof fault === 'object') response.writeHead(fault.status, fault.headers).end('no');
    else if (fault !== 'hang') {
      this.accepted.push(sunk);
      if (fault === undefined) response.end('ok');
      else response.writeHead(200).write('x'.repeat(100_000));
    }
  }
}
