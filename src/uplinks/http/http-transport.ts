import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { readSecret } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { messageJson } from '../message-json.ts';
import { answerError } from './http-answer.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { postOnce } from './http-request.ts';

const compress = promisify(gzip);

/** Posts each batch as one request over one connection, which is kept. */
export class HttpTransport implements UplinkTransport {
  readonly #agentId: string;
  readonly #config: HttpUplinkConfig;
  readonly #deps: Deps;
  readonly #url: URL;
  readonly #http: OutgoingHttp;

  constructor(agentId: string, config: HttpUplinkConfig, deps: Deps) {
    this.#agentId = agentId;
    this.#config = config;
    this.#deps = deps;
    this.#url = new URL(config.url);
    const { tls, connectTimeoutMs } = config;
    this.#http = new OutgoingHttp({ tls, connectTimeoutMs, connections: 1 });
  }

  /** `send` connects. */
  start(): void {}

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const { compression, timeoutMs, keepStatuses } = this.#config;
    const json = messageJson(`"agent":${JSON.stringify(this.#agentId)},`, batch, this.#config.values);
    const body = compression === 'gzip' ? await compress(json) : json;
    const answer = await postOnce({
      http: this.#http,
      url: this.#url,
      headers: this.#headers(batch),
      body,
      timeoutMs,
      clock: this.#deps.clock,
      signal,
    });
    const error = answerError(answer, keepStatuses, this.#deps.clock.nowMs());
    if (error !== undefined) throw error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#http.destroy();
  }

  #headers({ first, last }: RecordBatch): Record<string, string> {
    const configured = Object.entries(this.#config.headers).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === 'string' ? value : readSecret(value),
    ]);
    return {
      accept: 'application/json',
      'user-agent': 'andon',
      ...Object.fromEntries(configured),
      'content-type': 'application/json',
      'idempotency-key': `${first.id}..${last.id}`,
      ...(this.#config.compression === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
    };
  }
}
