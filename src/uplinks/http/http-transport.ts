import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Client } from 'undici';
import type { UplinkTransport } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { readSecret } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { messageJson } from '../message-json.ts';
import { UplinkError } from '../uplink-errors.ts';
import { answerError } from './http-answer.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { postOnce } from './http-request.ts';

const compress = promisify(gzip);

/** Servers usually close an idle connection after 5 s (Node) to 75 s (nginx); the uplink closes it first. */
const IDLE_CONNECTION_MS = 4000;

/** Posts each batch as one request over one connection, which is kept. */
export class HttpTransport implements UplinkTransport {
  readonly #agentId: string;
  readonly #config: HttpUplinkConfig;
  readonly #deps: Deps;
  readonly #url: URL;
  #client: Client | undefined;

  constructor(agentId: string, config: HttpUplinkConfig, deps: Deps) {
    this.#agentId = agentId;
    this.#config = config;
    this.#deps = deps;
    this.#url = new URL(config.url);
  }

  /** `send` connects. */
  start(): void {}

  async send(batch: RecordBatch, signal: AbortSignal): Promise<void> {
    const { compression, timeoutMs, keepStatuses } = this.#config;
    const json = messageJson(`"agent":${JSON.stringify(this.#agentId)},`, batch, this.#config.values);
    const body = compression === 'gzip' ? await compress(json) : json;
    this.#client ??= this.#connect();
    const answer = await postOnce({
      client: this.#client,
      url: this.#url,
      headers: this.#headers(batch),
      body,
      timeoutMs,
      clock: this.#deps.clock,
      signal,
    });
    const error = answerError(answer, keepStatuses, this.#deps.clock.nowMs());
    if (error === undefined) return;
    // The next connection uses a renewed certificate.
    if (error.code === 'uplink-not-admitted') await this.#disconnect();
    throw error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disconnect();
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

  #connect(): Client {
    return new Client(this.#url.origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      keepAliveMaxTimeout: IDLE_CONNECTION_MS,
      // Each request has its own deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: this.#config.connectTimeoutMs, ...this.#tls() },
    });
  }

  #tls() {
    try {
      return readTlsFiles(this.#config.tls);
    } catch (error) {
      throw new UplinkError('uplink-tls-file', errorMessage(error), { cause: error });
    }
  }

  async #disconnect(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.destroy();
  }
}
