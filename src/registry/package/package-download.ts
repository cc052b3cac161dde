import type { PackageSource } from '../../contracts/model-registry.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';

const REDIRECTS_MAX = 5;
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

type UrlSource = Extract<PackageSource, { readonly kind: 'url' }>;

export type Download = {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** From the Content-Length of the server; undefined if it is missing. */
  readonly bytesTotal: number | undefined;
};

/**
 * Starts to fetch a package. The deadline includes redirects and the body.
 *
 * A redirect may lead from http to https but not back. The request headers are sent to the first server only.
 *
 * @throws {OperatingError} 'model-download-failed' (retry), also while the bytes are read; 'model-package-invalid' for an
 *   invalid URL or header.
 */
export async function download(
  { url, headers }: UrlSource,
  limits: { readonly deadlineMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Download> {
  const { deadlineMs, clock, signal } = limits;
  const first = urlOf(url);
  checkHeaders(headers);
  const overdue = new AbortController();
  const timer = clock.setTimer(() => overdue.abort(), deadlineMs, { background: true });
  const failure = (error: unknown): OperatingError =>
    overdue.signal.aborted
      ? failed(`${first.host} did not send the package within ${formatDuration(deadlineMs)}`, error)
      : failed(`${first.host}: ${reasonOf(error)}`, error);
  try {
    const response = await request(first, headers, AbortSignal.any([overdue.signal, signal]));
    const { body } = response;
    if (!response.ok || body === null) {
      await body?.cancel();
      throw failed(`${shownUrl(new URL(response.url))} answered ${response.status} ${response.statusText}`.trimEnd());
    }
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    return {
      bytes: bytesOf(body, failure, () => timer.cancel()),
      bytesTotal: Number.isNaN(length) ? undefined : length,
    };
  } catch (error) {
    timer.cancel();
    throw error instanceof OperatingError ? error : failure(error);
  }
}

async function request(first: URL, headers: UrlSource['headers'], signal: AbortSignal): Promise<Response> {
  let url = first;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const own = url.origin === first.origin ? headers : {};
    const answer = await fetch(url, {
      // The hash is of the bytes on the server: fetch would remove a layer of compression first.
      headers: { ...own, 'accept-encoding': 'identity' },
      redirect: 'manual',
      signal,
    });
    const location = answer.headers.get('location');
    if (!REDIRECT_STATUSES.has(answer.status) || location === null) return answer;
    await answer.body?.cancel();
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

/** Checks the headers here, because the error of fetch contains the value, which may be a token. */
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

async function* bytesOf(
  body: AsyncIterable<Uint8Array>,
  failure: (error: unknown) => OperatingError,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw failure(error);
  } finally {
    done();
  }
}

/** The message of fetch is 'fetch failed'; the reason is its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? errorMessage(cause) : errorMessage(error);
}

function failed(message: string, cause?: unknown): OperatingError {
  return registryFailure('model-download-failed', message, { cause });
}
