import type { Dispatcher } from 'undici';
import type { PackageSource } from '../../contracts/model-registry.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Clock } from '../../platform/clock.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { TlsFiles } from '../../platform/tls-files.ts';
import { httpErrorText, OutgoingHttp } from '../../protocols/http/outgoing-http.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { checkPublic, lookupPublic } from './private-addresses.ts';

const CONNECT_MS_MAX = 10_000;
const REDIRECTS_MAX = 5;
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

type UrlSource = Extract<PackageSource, { readonly kind: 'url' }>;

export type Download = {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** From the Content-Length of the server; undefined if it is missing. */
  readonly bytesTotal: number | undefined;
};

export type DownloadLimits = {
  readonly deadlineMs: number;
  /** False refuses servers on local networks, also after a redirect. */
  readonly allowsPrivate: boolean;
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/**
 * Starts to fetch a package. The deadline includes redirects and the body.
 *
 * A redirect may lead from http to https but not back. The request headers are sent to the first server only.
 *
 * @throws {OperatingError} 'model-download-failed' (retry), also while the bytes are read; 'model-package-invalid' for an
 *   invalid URL or header.
 */
export async function download({ url, headers }: UrlSource, limits: DownloadLimits): Promise<Download> {
  const { deadlineMs, allowsPrivate, tls, clock, signal } = limits;
  const first = urlOf(url);
  checkHeaders(headers);
  const overdue = new AbortController();
  const timer = clock.setTimer(() => overdue.abort(), deadlineMs, { background: true });
  const failure = (error: unknown): OperatingError =>
    overdue.signal.aborted
      ? failed(`${first.host} did not send the package within ${formatDuration(deadlineMs)}`, error)
      : failed(`${first.host}: ${httpErrorText(error)}`, error);
  const http = new OutgoingHttp({
    tls,
    connectTimeoutMs: CONNECT_MS_MAX,
    connections: 1,
    ...(allowsPrivate ? {} : { lookup: lookupPublic }),
  });
  const end = () => {
    timer.cancel();
    void http.destroy();
  };
  const received = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw failure(error);
    } finally {
      end();
    }
  };
  try {
    const { url: last, response } = await follow(first, headers, {
      signal: AbortSignal.any([overdue.signal, signal]),
      http,
      allowsPrivate,
    });
    const { statusCode, statusText, body } = response;
    const { 'content-length': length } = response.headers;
    if (statusCode < 200 || statusCode > 299) {
      await body.dump();
      throw failed(`${shownUrl(last)} answered ${statusCode} ${statusText}`.trimEnd());
    }
    return {
      bytes: received(body),
      bytesTotal: length === undefined ? undefined : Number(length),
    };
  } catch (error) {
    end();
    throw error instanceof OperatingError ? error : failure(error);
  }
}

type FollowedResponse = { readonly url: URL; readonly response: Dispatcher.ResponseData };

type Connection = { readonly signal: AbortSignal; readonly http: OutgoingHttp; readonly allowsPrivate: boolean };

async function follow(
  first: URL,
  headers: UrlSource['headers'],
  { signal, http, allowsPrivate }: Connection,
): Promise<FollowedResponse> {
  let url = first;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const own = url.origin === first.origin ? headers : {};
    if (!allowsPrivate) checkPublic(url.hostname);
    const response = await http.request({
      origin: url.origin,
      method: 'GET',
      path: `${url.pathname}${url.search}`,
      headers: { ...own, 'accept-encoding': 'identity' },
      signal,
    });
    const { location } = response.headers;
    if (!REDIRECT_STATUSES.has(response.statusCode) || typeof location !== 'string') return { url, response };
    await response.body.dump();
    const next = urlOf(location, url);
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw failed(`${url.host} redirects from https to ${next.protocol}//${next.host}, which is refused`);
    url = next;
  }
  throw failed(`${first.host} redirects more than ${REDIRECTS_MAX} times`);
}

/** Returns a URL for a message or the log, without query and user, which may be secrets. */
export function shownUrl({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

/** @param base The base of a relative URL. */
function urlOf(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    const shown = url === null ? text.replace(/[?#].*$/s, '').replace(/^.*@/s, '…@') : shownUrl(url);
    throw registryFailure('model-package-invalid', `'${shown.slice(0, 200)}' is not an http:// or https:// URL`);
  }
  if (url.username === '' && url.password === '') return url;
  throw registryFailure(
    'model-package-invalid',
    `The URL ${shownUrl(url)} contains a user or a password. Send them as a header, 'authorization: Basic …'`,
  );
}

/** Checks the headers here, because the error of undici may contain the value, which may be a token. */
function checkHeaders(headers: UrlSource['headers']): void {
  for (const [name, value] of Object.entries(headers))
    try {
      new Headers().set(name, value);
    } catch {
      throw registryFailure(
        'model-package-invalid',
        `Header ${JSON.stringify(name.slice(0, 40))} contains a character that HTTP does not allow in a header`,
      );
    }
}

function failed(message: string, cause?: unknown): OperatingError {
  return registryFailure('model-download-failed', message, { cause });
}
