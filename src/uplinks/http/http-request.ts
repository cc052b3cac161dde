import type { Dispatcher } from 'undici';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, OperatingError } from '../../platform/errors.ts';
import { TlsFileError } from '../../platform/tls-files.ts';
import { httpErrorText, isConnectTimeout, isNotHttp, type OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { UplinkError } from '../uplink-errors.ts';
import type { HttpAnswer } from './http-answer.ts';

export type HttpPost = {
  /** With one connection. */
  readonly http: OutgoingHttp;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Longest time from the call to the end of the response. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** Bytes of a response that are kept for the operator. */
const KEPT_BYTES_MAX = 4096;
/** A longer response is cut off with its connection; its status is valid all the same. */
const ANSWER_BYTES_MAX = 65_536;
/** Errors of a connection that the receiver closed while it was idle. */
const closedCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/**
 * Posts once. Redirects are not followed.
 *
 * The status line decides the result: a body that never ends, or ends with a reset, changes nothing.
 *
 * @throws {OperatingError} 'uplink-unreachable', 'uplink-connect-timeout', 'uplink-timeout', 'uplink-answer-invalid' and
 *   'uplink-stopped' (retry): after any of them the receiver may have stored the batch. 'uplink-tls-file' and
 *   'secret-missing' (retry).
 */
export async function postOnce(post: HttpPost): Promise<HttpAnswer> {
  const { url, timeoutMs, clock, signal } = post;
  const call = new AbortController();
  const stop = () => call.abort(new UplinkError('uplink-stopped', 'The uplink stopped before the receiver answered'));
  const late = `The receiver at ${url.host} did not answer within ${timeoutMs} ms`;
  const timer = clock.setTimer(() => call.abort(new UplinkError('uplink-timeout', late)), timeoutMs);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    const { statusCode, headers, body } = await sendOverOpenConnection(post, call.signal);
    const text = await beginOf(body);
    return {
      status: statusCode,
      retryAfter: first(headers['retry-after']),
      location: first(headers['location']),
      text,
    };
  } catch (error) {
    throw error instanceof OperatingError ? error : exchangeError(url, error);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', stop);
  }
}

/** Repeats the request on a new connection if the receiver has closed the kept one, which is not a failure. */
async function sendOverOpenConnection(post: HttpPost, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const openedBefore = post.http.connectionsOpened;
  try {
    return await send(post, signal);
  } catch (error) {
    const isNew = post.http.connectionsOpened !== openedBefore;
    if (isNew || signal.aborted || !closedCodes.has(errorCode(error))) throw error;
    return await send(post, signal);
  }
}

function send({ http, url, headers, body }: HttpPost, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = url;
  return http.request({ origin, method: 'POST', path: `${pathname}${search}`, headers, body, signal });
}

async function beginOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const kept: Buffer[] = [];
  let receivedBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (receivedBytes < KEPT_BYTES_MAX) kept.push(chunk.subarray(0, KEPT_BYTES_MAX - receivedBytes));
      receivedBytes += chunk.length;
      if (receivedBytes > ANSWER_BYTES_MAX) break;
    }
  } catch {
    // The status is known.
  }
  return Buffer.concat(kept).toString('utf8');
}

function exchangeError(url: URL, error: unknown): UplinkError {
  const text = httpErrorText(error);
  if (error instanceof TlsFileError) return new UplinkError('uplink-tls-file', text, { cause: error });
  if (isConnectTimeout(error))
    return new UplinkError('uplink-connect-timeout', `No connection to ${url.host}: ${text}`, { cause: error });
  if (isNotHttp(error))
    return new UplinkError('uplink-answer-invalid', `${url.host} does not speak HTTP: ${text}`, { cause: error });
  return new UplinkError('uplink-unreachable', `The request to ${url.host} failed: ${text}`, { cause: error });
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
