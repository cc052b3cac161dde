import type { Dispatcher } from 'undici';
import type { RemoteServer } from '../../contracts/remote-server.ts';
import { Backoff } from '../../platform/backoff.ts';
import { sleep } from '../../platform/clock.ts';
import { readSecret } from '../../platform/config-fields.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, OperatingError } from '../../platform/errors.ts';
import type { MetricsOf } from '../../platform/metrics.ts';
import { parseRetryAfterMs } from '../../platform/retry-after.ts';
import { httpErrorText, isNotHttp, OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { remoteFailure } from '../../models/errors/remote-errors.ts';
import { remoteMetrics } from './remote-metrics.ts';

/** Longest wait for a connection. */
const CONNECT_MS_MAX = 10_000;
/** Pauses before further attempts if the server names none. */
const RETRY_MS_FIRST = 25;
const RETRY_MS_MAX = 1_000;
/** Characters of the server's own words that go into a reason. */
const WORDS_MAX = 200;

/** Temporary faults: the server is not listening for a moment, or it closed a kept connection. */
const passingFaults: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
]);
/** The server answers but requests a retry. */
const passingStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** The server is well, and will not have these inputs. */
const inputStatuses: ReadonlySet<number> = new Set([400, 413, 422]);

export type RemoteRequest = {
  readonly method: 'GET' | 'POST';
  /** From `/v2` on. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | undefined;
};

export type RemoteAnswer = {
  /** Lower-case names; a header that came twice as one text. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** A failed attempt, and when another may follow. */
type Failure = {
  readonly error: OperatingError;
  /** Undefined if no further attempt is allowed. */ readonly againAfterMs: number | undefined;
};

/**
 * HTTP to one server of the Open Inference Protocol over a bounded number of kept connections.
 *
 * Each answer is read whole, up to `remote.maxAnswer`.
 */
export class RemoteClient {
  readonly #server: RemoteServer;
  readonly #label: string;
  readonly #deps: Deps;
  readonly #metrics: MetricsOf<typeof remoteMetrics>;
  readonly #url: URL;
  /** Abort controllers of the exchanges in flight. */
  readonly #calls = new Set<AbortController>();
  #closed: OperatingError | undefined;
  readonly #http: OutgoingHttp;
  #ids = 0;

  /** @param label Of the model, for metrics. */
  constructor(server: RemoteServer, label: string, deps: Deps) {
    this.#server = server;
    this.#label = label;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(remoteMetrics);
    this.#url = new URL(server.url);
    const { ca, connections, maxAnswerBytes } = server;
    this.#http = new OutgoingHttp({
      tls: { ca: ca?.includes('-----BEGIN') === true ? { pem: ca } : ca },
      connectTimeoutMs: CONNECT_MS_MAX,
      // One more than there are runs, so that a proof need not wait for them.
      connections: connections + 1,
      responseBytesMax: maxAnswerBytes,
    });
  }

  /** Origin for messages: `https://triton:8000`. */
  get origin(): string {
    return this.#url.origin;
  }

  /** Returns a request id that is unique for this client. */
  newId(): string {
    this.#ids += 1;
    return String(this.#ids);
  }

  /**
   * Sends a request and reads its answer, with further attempts within the deadline if the server is temporarily unavailable
   * or requests a retry.
   *
   * @param timeoutMs Total time for connection, attempts, pauses and answer.
   * @param retries Maximum number of further attempts.
   * @returns An answer with status 200.
   * @throws {OperatingError} 'remote-unreachable', 'remote-busy', 'remote-refused', 'remote-answer-invalid',
   *   'inference-timeout', 'secret-missing' (retry); 'remote-request-refused' (reject).
   */
  async ask(request: RemoteRequest, timeoutMs: number, retries = this.#server.retries): Promise<RemoteAnswer> {
    if (this.#closed !== undefined) throw this.#closed;
    const { clock, random } = this.#deps;
    const endMs = clock.monotonicMs() + timeoutMs;
    let before: OperatingError | undefined;
    const call = new AbortController();
    const { signal } = call;
    this.#calls.add(call);
    const timer = clock.setTimer(() => call.abort(this.#late(timeoutMs, before)), timeoutMs, { background: true });
    const pauses = new Backoff({ firstMs: RETRY_MS_FIRST, maxMs: RETRY_MS_MAX, random });
    try {
      for (let attempt = 0; ; attempt += 1) {
        const outcome = await this.#attempt(request, signal);
        if ('body' in outcome) return outcome;
        signal.throwIfAborted();
        before = outcome.error;
        const pauseMs =
          outcome.againAfterMs === undefined ? undefined : Math.max(outcome.againAfterMs, pauses.nextMs());
        if (pauseMs === undefined || attempt >= retries || clock.monotonicMs() + pauseMs >= endMs) throw outcome.error;
        this.#metrics.andon_remote_retries_total.inc({ model: this.#label });
        await sleep(clock, pauseMs, signal);
        signal.throwIfAborted();
      }
    } finally {
      timer.cancel();
      this.#calls.delete(call);
    }
  }

  /**
   * Closes the kept connections: one of them received data that does not belong to a request. Exchanges in flight on the
   * others are completed.
   */
  forgetConnections(): void {
    this.#http.renew();
  }

  /** Rejects the exchanges in flight with 'model-not-ready'. */
  close(): void {
    this.#closed = inferenceFailure('model-not-ready', `Model '${this.#label}' is being unloaded`);
    for (const call of this.#calls) call.abort(this.#closed);
    void this.#http.destroy();
  }

  async #attempt(request: RemoteRequest, signal: AbortSignal): Promise<RemoteAnswer | Failure> {
    const outcome = await this.#exchange(request, signal).catch((error: unknown) => this.#broken(error));
    const code = 'error' in outcome ? (signal.aborted ? errorCode(signal.reason) : outcome.error.code) : 'ok';
    this.#metrics.andon_remote_requests_total.inc({ model: this.#label, outcome: code });
    return outcome;
  }

  async #exchange(request: RemoteRequest, signal: AbortSignal): Promise<RemoteAnswer | Failure> {
    const { method, path, body } = request;
    const answer = await this.#http.request({
      origin: this.origin,
      method,
      path: `${this.#url.pathname.replace(/(\/v2)?\/*$/, '')}${path}`,
      headers: { ...this.#headers(), ...request.headers },
      body: body ?? null,
      signal,
    });
    const bytes = await answer.body.bytes();
    const headers = plainHeaders(answer.headers);
    if (answer.statusCode !== 200) return this.#refused(answer.statusCode, headers, bytes);
    const coding = headers['content-encoding'] ?? 'identity';
    if (coding === 'identity') return { headers, body: bytes };
    return once(
      remoteFailure(
        'remote-answer-invalid',
        `${this.origin} answered with the encoding ${coding}, which was not requested`,
      ),
    );
  }

  #headers(): Record<string, string> {
    const { token, headers } = this.#server;
    const configured = Object.entries(headers).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === 'string' ? value : readSecret(value),
    ]);
    return {
      'user-agent': 'andon',
      ...Object.fromEntries(configured),
      ...(token === undefined ? {} : { authorization: `Bearer ${readSecret(token)}` }),
      accept: 'application/json, application/octet-stream',
      'accept-encoding': 'identity',
    };
  }

  /** An exchange without an answer. */
  #broken(error: unknown): Failure {
    if (error instanceof OperatingError) return once(error);
    const code = errorCode(error);
    const text = httpErrorText(error);
    if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
      const message = `${this.origin} sent an answer of more than the ${this.#server.maxAnswerBytes} bytes allowed (remote.maxAnswer)`;
      return once(remoteFailure('remote-answer-invalid', message, { cause: error }));
    }
    if (isNotHttp(error))
      return once(
        remoteFailure('remote-answer-invalid', `${this.origin} does not answer with HTTP: ${text}`, { cause: error }),
      );
    const failure = remoteFailure('remote-unreachable', `No exchange with ${this.origin}: ${text}`, { cause: error });
    return { error: failure, againAfterMs: passingFaults.has(code) ? 0 : undefined };
  }

  /** Returns the failure of an answer without a result. */
  #refused(status: number, headers: RemoteAnswer['headers'], body: Uint8Array): Failure {
    const said = `${this.origin} answered ${status}${wordsOf(body)}`;
    if (passingStatuses.has(status)) {
      const askedMs = parseRetryAfterMs(headers['retry-after'], this.#deps.clock.nowMs());
      return { error: remoteFailure('remote-busy', said), againAfterMs: askedMs ?? 0 };
    }
    if (inputStatuses.has(status)) return once(remoteFailure('remote-request-refused', said));
    const location = headers['location']?.slice(0, WORDS_MAX);
    const text = status >= 300 && status < 400 ? `${said} to ${location ?? 'nowhere'}, which is not followed` : said;
    return once(remoteFailure('remote-refused', text));
  }

  /** @param before Why the attempt before the last one failed. */
  #late(timeoutMs: number, before: OperatingError | undefined): OperatingError {
    const last = before === undefined ? '' : `; before that: ${before.message}`;
    return inferenceFailure(
      'inference-timeout',
      `${this.origin} did not answer within ${Math.round(timeoutMs)} ms${last}`,
    );
  }
}

/** Returns a failure that a further attempt would not fix. */
function once(error: OperatingError): Failure {
  return { error, againAfterMs: undefined };
}

function plainHeaders(headers: Dispatcher.ResponseData['headers']): RemoteAnswer['headers'] {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}

/** Returns the server's message: the protocol's `error`, or the start of the body. */
function wordsOf(body: Uint8Array): string {
  const text = new TextDecoder().decode(body.subarray(0, 8 * WORDS_MAX));
  const error = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const words = (error ?? text).replace(/[\p{C}\s]+/gu, ' ').trim();
  return words === '' ? '' : `: ${words.slice(0, WORDS_MAX)}`;
}
