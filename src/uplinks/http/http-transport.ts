import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import type { Deps } from '../../platform/deps.ts';
import { OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import type { UplinkError } from '../uplink-errors.ts';
import type { HttpAnswer } from './http-answer.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { postOnce } from './http-request.ts';

const compress = promisify(gzip);

/** Configuration of a transport that posts batches. */
export type HttpTransportConfig = Pick<
  HttpUplinkConfig,
  'url' | 'tls' | 'connectTimeoutMs' | 'timeoutMs' | 'compression' | 'keepStatuses'
>;

/** Form of a batch as a request. */
export type HttpEncoding = {
  /** @returns Undefined if the receiver needs nothing of the batch. */
  body(batch: RecordBatch): Buffer | undefined;
  /**
   * Returns the headers of the request, in lower case.
   * @throws {OperatingError} 'secret-missing' (retry).
   */
  headers(batch: RecordBatch): Readonly<Record<string, string>>;
  /** Returns the error of an answer; undefined if the receiver stored the batch. */
  answerError(answer: HttpAnswer, nowMs: number): UplinkError | undefined;
};

/** Posts each batch as one request over one connection, which is kept. */
export class HttpTransport implements UplinkTransport {
  readonly #config: HttpTransportConfig;
  readonly #encoding: HttpEncoding;
  readonly #deps: Deps;
  readonly #url: URL;
  readonly #http: OutgoingHttp;

  constructor(config: HttpTransportConfig, encoding: HttpEncoding, deps: Deps) {
    this.#config = config;
    this.#encoding = encoding;
    this.#deps = deps;
    this.#url = new URL(config.url);
    const { tls, connectTimeoutMs } = config;
    this.#http = new OutgoingHttp({ tls, connectTimeoutMs, connections: 1 });
  }

  /** `send` connects. */
  start(): void {}

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const { compression, timeoutMs } = this.#config;
    const plain = this.#encoding.body(batch);
    if (plain === undefined) return;
    const isPacked = compression === 'gzip';
    const answer = await postOnce({
      http: this.#http,
      url: this.#url,
      headers: {
        'user-agent': 'andon',
        ...this.#encoding.headers(batch),
        ...(isPacked ? { 'content-encoding': 'gzip' } : {}),
      },
      body: isPacked ? await compress(plain) : plain,
      timeoutMs,
      clock: this.#deps.clock,
      signal,
    });
    const error = this.#encoding.answerError(answer, this.#deps.clock.nowMs());
    if (error !== undefined) throw error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#http.destroy();
  }
}
