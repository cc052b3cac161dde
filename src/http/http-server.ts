import { once } from 'node:events';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { FastifyInstance } from 'fastify';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { errorMessage, invariant } from '../platform/errors.ts';
import { makePrivateFolder, sweepPrivateFolders } from '../platform/private-folder.ts';
import type { HttpAppOptions } from './http-app.ts';
import { httpApp } from './http-app.ts';
import type { ListenAddress } from './http-config.ts';
import { listenAddress } from './http-config.ts';

export type HttpServerOptions = Omit<HttpAppOptions, 'first'>;

/** The port while it is given to another process. */
type Lent = { readonly url: string; readonly port: number };

/**
 * The agent's HTTP endpoint. What arrives at the configured address is handed to it by an acceptor, so that another process
 * may take the port over; each hands on by a private socket what the other has to answer.
 */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #address: ListenAddress;
  #app: FastifyInstance | undefined;
  #folder: string | undefined;
  #acceptor: Server | undefined;
  #lent: Lent | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const address = listenAddress(options.config.listen);
    invariant(address !== undefined, `http.listen '${options.config.listen}' passed the schema`);
    this.#address = address;
    this.#health = options.deps.health.component('http');
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: options.deps.random });
  }

  /** Listens; an address that is taken is reported and tried again, while the watching goes on. */
  async start(): Promise<void> {
    const { config, deps } = this.#options;
    try {
      this.#app ??= await this.#build();
      this.#acceptor = await this.#listen(this.#app, this.#lent?.port ?? this.#address.port);
      this.#lent = undefined;
      if (this.#stopped) return this.#close();
      this.#backoff.reset();
      this.#health.report('ok');
    } catch (error) {
      const waitMs = this.#backoff.nextMs();
      this.#health.report(
        'degraded',
        `http-listen-failed: ${config.listen}: ${errorMessage(error)}; next attempt in ${Math.round(waitMs)} ms`,
      );
      if (!this.#stopped) this.#retry = deps.clock.setTimer(() => void this.start(), waitMs);
    }
  }

  /** Where it listens; undefined until it does. */
  get url(): string | undefined {
    return this.#lent?.url ?? urlOf(this.#acceptor);
  }

  /** Path of a private socket: 'agent' is the one by which this endpoint is asked, once it listens. */
  privatePath(of: 'agent' | 'gateway'): string {
    return socketPath(this.#folder, of);
  }

  /** The port, for a process that is to accept connections beside this one; undefined while nothing listens. */
  get acceptor(): Server | undefined {
    return this.#acceptor;
  }

  /** Another process accepts connections now; those that are here stay. */
  lendPort(): void {
    const { url, acceptor } = this;
    if (url === undefined || acceptor === undefined) return;
    this.#lent = { url, port: Number(new URL(url).port) };
    this.#acceptor = undefined;
    acceptor.close();
  }

  /** The process that had the port is gone. */
  async takePortBack(): Promise<void> {
    if (this.#lent !== undefined && !this.#stopped) await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    await this.#close();
  }

  async #build(): Promise<FastifyInstance> {
    const app = await httpApp(this.#options);
    try {
      if (process.platform !== 'win32') {
        void sweepPrivateFolders('http');
        this.#folder = await makePrivateFolder('http');
      }
      await app.listen({ path: this.privatePath('agent') });
      return app;
    } catch (error) {
      await app.close();
      throw error;
    }
  }

  async #listen(app: FastifyInstance, port: number): Promise<Server> {
    // As Node's own HTTP server has its connections.
    const acceptor = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      app.server.emit('connection', socket),
    );
    acceptor.maxConnections = this.#options.config.maxConnections;
    acceptor.listen({ host: this.#address.host, port });
    await once(acceptor, 'listening');
    return acceptor;
  }

  async #close(): Promise<void> {
    this.#acceptor?.close();
    this.#acceptor = undefined;
    this.#lent = undefined;
    const app = this.#app;
    this.#app = undefined;
    await app?.close();
    const folder = this.#folder;
    this.#folder = undefined;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

function urlOf(acceptor: Server | undefined): string | undefined {
  const address = acceptor?.address();
  if (address === null || address === undefined || typeof address === 'string') return undefined;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

/** Windows has named pipes in a place of their own, which only the user who made one may use. */
function socketPath(folder: string | undefined, name: string): string {
  return folder === undefined ? `\\\\.\\pipe\\andon-${process.pid}-${name}` : join(folder, `${name}.sock`);
}
