import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { UplinkTransport } from '../../contracts/uplink.ts';
import type { StoredRecord } from '../../domain/record/record.ts';
import { recordJson } from '../../domain/record/record.ts';
import { readSecret } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { UplinkError } from '../uplink-errors.ts';
import { answerError } from './http-answer.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { postOnce } from './http-request.ts';

const compress = promisify(gzip);

/** Servers commonly close an idle connection after 5 s (Node) to 75 s (nginx); ours goes first. */
const IDLE_CONNECTION_MS = 4000;

/** Posts each batch as one request on one connection that is kept. */
export class HttpTransport implements UplinkTransport {
  readonly #agentId: string;
  readonly #config: HttpUplinkConfig;
  readonly #deps: Deps;
  readonly #url: URL;
  #connections: HttpAgent | HttpsAgent | undefined;

  constructor(agentId: string, config: HttpUplinkConfig, deps: Deps) {
    this.#agentId = agentId;
    this.#config = config;
    this.#deps = deps;
    this.#url = new URL(config.url);
  }

  /** Connections are made by `send`. */
  start(): void {}

  async send(records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    const { compression, connectTimeoutMs, timeoutMs, keepStatuses } = this.#config;
    const json = Buffer.from(requestJson(this.#agentId, records));
    const body = compression === 'gzip' ? await compress(json) : json;
    const answer = await postOnce({
      url: this.#url,
      options: { agent: this.#agent(), headers: this.#headers(records, body.length) },
      body,
      connectTimeoutMs,
      timeoutMs,
      clock: this.#deps.clock,
      signal,
    });
    const error = answerError(answer, keepStatuses, this.#deps.clock.nowMs());
    if (error === undefined) return;
    // A renewed certificate is taken over with the next connection.
    if (error.code === 'uplink-not-admitted') this.#forgetConnections();
    throw error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#forgetConnections();
    return Promise.resolve();
  }

  #headers(records: readonly StoredRecord[], bodyBytes: number): Record<string, string> {
    const configured = Object.entries(this.#config.headers).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === 'string' ? value : readSecret(value),
    ]);
    return {
      accept: 'application/json',
      'user-agent': 'andon',
      ...Object.fromEntries(configured),
      'content-type': 'application/json',
      'content-length': String(bodyBytes),
      'idempotency-key': `${records[0]?.id}..${records.at(-1)?.id}`,
      ...(this.#config.compression === 'gzip' ? { 'content-encoding': 'gzip' } : {}),
    };
  }

  #agent(): HttpAgent | HttpsAgent {
    const kept = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1, timeout: IDLE_CONNECTION_MS };
    this.#connections ??=
      this.#url.protocol === 'https:' ? new HttpsAgent({ ...kept, ...this.#tls() }) : new HttpAgent(kept);
    return this.#connections;
  }

  #tls(): { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } {
    const { ca, cert, key } = this.#config.tls;
    return {
      ...(ca === undefined ? {} : { ca: readPem(ca) }),
      ...(cert === undefined ? {} : { cert: readPem(cert) }),
      ...(key === undefined ? {} : { key: readPem(key) }),
    };
  }

  #forgetConnections(): void {
    this.#connections?.destroy();
    this.#connections = undefined;
  }
}

/** `{"agent","records":[…]}`; the records' own JSON is not parsed again. */
function requestJson(agentId: string, records: readonly StoredRecord[]): string {
  return `{"agent":${JSON.stringify(agentId)},"records":[${records.map(recordJson).join(',')}]}`;
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UplinkError('uplink-tls-file', `TLS file ${path}: ${errorMessage(error)}`, { cause: error });
  }
}
