import type { LookupFunction } from 'node:net';
import type * as Undici from 'undici';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { readTlsFiles, type TlsFiles, tlsVersion } from '../../platform/tls-files.ts';
import { proxySettings } from './proxy-environment.ts';

/** Servers usually close an idle connection after 5 s (Node, uvicorn) to 75 s (nginx); andon closes it first. */
const IDLE_CONNECTION_MS = 4000;
const HEADER_BYTES_MAX = 16_384;
/** A proxy did not answer CONNECT. Requests themselves have no such deadline. */
const PROXY_TIMEOUT = 'UND_ERR_HEADERS_TIMEOUT';

export type OutgoingHttpOptions = {
  readonly tls: TlsFiles;
  /** Longest wait for a connection, TLS included. Also for the answer of a proxy to CONNECT. */
  readonly connectTimeoutMs: number;
  /** Most connections to one server. */
  readonly connections: number;
  /** Largest body of a response. Default: no limit. */
  readonly responseBytesMax?: number;
  /** Lookup of host names, on a direct connection. A proxy looks names up itself. */
  readonly lookup?: LookupFunction;
};

/**
 * Kept HTTP connections, direct or through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name.
 *
 * Changed TLS files apply to the next request. Redirects are not followed.
 */
export class OutgoingHttp {
  readonly #options: OutgoingHttpOptions;
  #agent: Undici.EnvHttpProxyAgent | undefined;
  #tlsVersion = '';
  #connectionsOpened = 0;

  constructor(options: OutgoingHttpOptions) {
    this.#options = options;
  }

  /** Number of connections that were opened so far. */
  get connectionsOpened(): number {
    return this.#connectionsOpened;
  }

  /**
   * Sends one request. Its signal is its only deadline after the connection is open.
   * @throws {TlsFileError} A file cannot be read. {OperatingError} 'secret-missing'. {Error} Any error of undici.
   */
  async request(
    request: Undici.Dispatcher.RequestOptions & { readonly origin: string },
  ): Promise<Undici.Dispatcher.ResponseData> {
    // Loaded with the first request: most agents send none, and it is 1.1 MB of source.
    const undici = await import('undici');
    const version = tlsVersion(this.#options.tls);
    if (version !== this.#tlsVersion) this.renew();
    this.#tlsVersion = version;
    this.#agent ??= this.#open(undici);
    return this.#agent.request(request);
  }

  /** Closes the connections when their requests are complete. The next request opens a new one. */
  renew(): void {
    void this.#agent?.close();
    this.#agent = undefined;
  }

  /** Rejects the requests in flight. */
  async destroy(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.destroy();
  }

  #open({ EnvHttpProxyAgent, Pool }: typeof Undici): Undici.EnvHttpProxyAgent {
    const { connectTimeoutMs, connections, responseBytesMax = -1, lookup } = this.#options;
    const limits = {
      connections,
      pipelining: 1,
      allowH2: false,
      maxResponseSize: responseBytesMax,
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      keepAliveMaxTimeout: IDLE_CONNECTION_MS,
      // Each request has its own deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    const tls = { timeout: connectTimeoutMs, allowH2: false, ...readTlsFiles(this.#options.tls) };
    // The connection to a proxy has no deadline of a request: an unanswered CONNECT would block the next ones for 5 min.
    const proxyLimits = { allowH2: false, headersTimeout: connectTimeoutMs };
    return new EnvHttpProxyAgent({
      ...limits,
      ...proxySettings(),
      connectTimeout: connectTimeoutMs,
      connect: lookup === undefined ? tls : { ...tls, lookup },
      requestTls: tls,
      proxyTls: tls,
      clientFactory: (origin, given) => new Pool(origin, { ...given, ...proxyLimits }),
      // For http:// through a proxy, undici passes none of the limits.
      factory: (origin, given: object) =>
        new Pool(origin, { ...given, ...limits }).on('connect', () => {
          this.#connectionsOpened += 1;
        }),
    });
  }
}

/** Returns true if no connection was opened in time, or a proxy did not answer CONNECT in time. */
export function isConnectTimeout(error: unknown): boolean {
  return ['UND_ERR_CONNECT_TIMEOUT', PROXY_TIMEOUT].includes(errorCode(error));
}

/** Returns true if the answer of a server is not HTTP. */
export function isNotHttp(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError';
}

/** Returns the text of an error of `OutgoingHttp` for a reason in health. */
export function httpErrorText(error: unknown): string {
  if (errorCode(error) === PROXY_TIMEOUT) return 'the proxy did not answer CONNECT';
  return errorMessage(error) === '' ? errorCode(error) : errorMessage(error);
}
