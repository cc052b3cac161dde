import type { Server } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import { errorMessage, invariant } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { OperatorAudit } from './access/operator-audit.ts';
import { AccessControl } from './access/access-control.ts';
import { type HttpApp, httpApp, type HttpAppOptions } from './http-app.ts';
import { type ListenAddress, listenAddress } from './listen-address.ts';
import { ServerCertificate } from './server-tls.ts';

export type HttpServerOptions = Omit<HttpAppOptions, 'access' | 'tls'> & {
  readonly component: string;
  /** Token of the commands on this box; undefined if there is none. */
  readonly localToken: string | undefined;
  /** Undefined if nothing is changed over this endpoint that belongs into the audit log of operators. */
  readonly audit?: OperatorAudit;
  readonly onListening?: (url: string) => void;
};

/** An HTTP endpoint that listens on one address. */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #address: ListenAddress;
  readonly #access: AccessControl;
  readonly #certificate: ServerCertificate | undefined;
  #opened: HttpApp | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const address = listenAddress(options.config.listen);
    invariant(address !== undefined, `the address '${options.config.listen}' passed the schema`);
    this.#address = address;
    const { tls, hosts } = options.config;
    this.#access = new AccessControl({
      ...options,
      clientCertificates: tls?.clientCa !== undefined,
      hosts: hosts && [...hosts, address.host.toLowerCase()],
      loopback: address.loopback,
    });
    this.#certificate = tls === undefined ? undefined : new ServerCertificate(tls, options.component, options.deps);
    this.#health = options.deps.health.component(options.component);
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: options.deps.random });
  }

  /** Listens. If the address is in use, reports it and retries with backoff. */
  async start(): Promise<void> {
    let opened: HttpApp | undefined;
    try {
      opened = await httpApp({ ...this.#options, access: this.#access, tls: this.#certificate?.read() });
      const { app, front } = opened;
      await front.listen(this.#address.host, this.#address.port);
      if (this.#stopped) return await close(opened);
      this.#opened = opened;
      this.#certificate?.watch((options) => (app.server as Server as TlsServer).setSecureContext(options));
      this.#backoff.reset();
      this.#health.report('ok');
      const { url } = this;
      if (url !== undefined) this.#options.onListening?.(url);
    } catch (error) {
      await close(opened);
      this.#startLater(error);
    }
  }

  /** URL of the endpoint; undefined until it listens. */
  get url(): string | undefined {
    const address = this.#opened?.front.address;
    if (address === undefined) return undefined;
    const scheme = this.#certificate === undefined ? 'http' : 'https';
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `${scheme}://${host}:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const opened = this.#opened;
    this.#opened = undefined;
    await close(opened);
    this.#access.dispose();
    this.#certificate?.dispose();
  }

  #startLater(error: unknown): void {
    const waitMs = this.#backoff.nextMs();
    this.#health.report(
      'degraded',
      `http-listen-failed: ${this.#options.config.listen}: ${errorMessage(error)}; next attempt in ${Math.round(waitMs)} ms`,
      'http-listen-failed',
    );
    if (!this.#stopped) this.#retry = this.#options.deps.clock.setTimer(() => void this.start(), waitMs);
  }
}

async function close(opened: HttpApp | undefined): Promise<void> {
  await opened?.front.close();
  await opened?.app.close();
}
