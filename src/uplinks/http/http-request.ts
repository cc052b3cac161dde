import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { UplinkError } from '../uplink-errors.ts';
import type { HttpAnswer } from './http-answer.ts';

export type HttpPost = {
  readonly url: URL;
  /** With agent, headers and TLS. */
  readonly options: RequestOptions;
  readonly body: Buffer;
  /** DNS, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** From here to the end of the answer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** Bytes of an answer that are kept for the operator. */
const KEPT_BYTES_MAX = 4096;
/** An answer over this is cut off with its connection; its status counts all the same. */
const ANSWER_BYTES_MAX = 65_536;

/**
 * Posts once and settles exactly once.
 *
 * node:http and not fetch: fetch follows redirects or hides where they lead, takes a certificate authority and a connect timeout
 * only through a dispatcher of a package that Node does not expose, and waits 300 s for headers by default.
 *
 * Once the status line is there, the answer is known: a body that never ends, or ends with a reset, changes nothing.
 *
 * @throws {UplinkError} 'uplink-unreachable', 'uplink-connect-timeout', 'uplink-timeout', 'uplink-answer-invalid' and
 *   'uplink-stopped' (retry); after any of them the receiver may have the batch.
 */
export function postOnce(post: HttpPost): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(post, resolve, reject);
    exchange.begin();
  });
}

class Exchange {
  readonly #post: HttpPost;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: UplinkError) => void;
  readonly #kept: Buffer[] = [];
  readonly #timers: { cancel(): void }[] = [];
  readonly #onAbort = () => this.#fail(new UplinkError('uplink-stopped', 'The uplink stopped before an answer came'));
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #receivedBytes = 0;
  #settled = false;
  #sentAgain = false;

  constructor(post: HttpPost, resolve: (answer: HttpAnswer) => void, reject: (error: UplinkError) => void) {
    this.#post = post;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    const { url, clock, timeoutMs, signal } = this.#post;
    if (signal.aborted) return this.#onAbort();
    signal.addEventListener('abort', this.#onAbort);
    const late = `The receiver at ${url.host} did not answer within ${timeoutMs} ms`;
    this.#timers.push(clock.setTimer(() => this.#end(new UplinkError('uplink-timeout', late)), timeoutMs));
    this.#send();
  }

  #send(): void {
    const { url, options, body, connectTimeoutMs } = this.#post;
    try {
      const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, { ...options, method: 'POST' });
      this.#request = request;
      request.on('error', (error) => this.#broke(request, error));
      request.on('response', (response) => this.#read(response));
      request.on('upgrade', (_response, socket) => socket.destroy(new Error('the receiver changed the protocol')));
      this.#watchConnecting(request, connectTimeoutMs);
      request.end(body);
    } catch (error) {
      // A header that Node finds invalid throws at once.
      this.#fail(this.#lost(error));
    }
  }

  /** A kept connection that the receiver closed while idle is no failure of the receiver: once more on a new one. */
  #broke(request: ClientRequest, error: Error): void {
    const stale = request.reusedSocket && errorCode(error) === 'ECONNRESET' && this.#response === undefined;
    if (!stale || this.#settled || this.#sentAgain) return this.#end(this.#lost(error));
    this.#sentAgain = true;
    this.#send();
  }

  #watchConnecting(request: ClientRequest, connectTimeoutMs: number): void {
    const late = `No connection to ${this.#post.url.host} within ${connectTimeoutMs} ms`;
    const timer = this.#post.clock.setTimer(
      () => this.#fail(new UplinkError('uplink-connect-timeout', late)),
      connectTimeoutMs,
    );
    this.#timers.push(timer);
    request.on('socket', (socket) => {
      if (!socket.connecting) return timer.cancel();
      socket.once(this.#post.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => timer.cancel());
    });
  }

  #read(response: IncomingMessage): void {
    this.#response = response;
    response.on('data', (chunk: Buffer) => {
      if (this.#receivedBytes < KEPT_BYTES_MAX)
        this.#kept.push(chunk.subarray(0, KEPT_BYTES_MAX - this.#receivedBytes));
      this.#receivedBytes += chunk.length;
      if (this.#receivedBytes > ANSWER_BYTES_MAX) this.#answer(response);
    });
    response.on('error', () => this.#answer(response));
    response.on('end', () => this.#answer(response));
    response.on('close', () => this.#answer(response));
  }

  /** The exchange is over without the end of an answer; a status that came counts. */
  #end(error: UplinkError): void {
    if (this.#response === undefined) this.#fail(error);
    else this.#answer(this.#response);
  }

  #answer(response: IncomingMessage): void {
    this.#settle(() =>
      this.#resolve({
        status: response.statusCode ?? 0,
        retryAfter: response.headers['retry-after'],
        location: response.headers.location,
        text: Buffer.concat(this.#kept).toString('utf8'),
      }),
    );
    // Keeps the connection only where the answer was read to its end.
    if (!response.complete) this.#request?.destroy();
  }

  #fail(error: UplinkError): void {
    this.#settle(() => this.#reject(error));
    this.#request?.destroy();
  }

  #settle(tell: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    for (const timer of this.#timers) timer.cancel();
    this.#post.signal.removeEventListener('abort', this.#onAbort);
    tell();
  }

  #lost(error: unknown): UplinkError {
    const code = errorCode(error);
    const what = errorMessage(error) === '' ? code : errorMessage(error);
    // HPE_…: Node's parser met something that is not HTTP.
    return code.startsWith('HPE_')
      ? new UplinkError('uplink-answer-invalid', `${this.#post.url.host} does not speak HTTP: ${what}`, {
          cause: error,
        })
      : new UplinkError('uplink-unreachable', `No exchange with ${this.#post.url.host}: ${what}`, { cause: error });
  }
}
