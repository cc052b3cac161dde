import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { Server as NetServer } from 'node:net';
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
import { privateAcceptor } from './private-connections.ts';

export type HttpServerOptions = Omit<HttpAppOptions, 'first'>;

/** Paths of private sockets: by which the agent is asked by its gateway, and the other way round. */
export type PrivatePaths = { readonly agentPath: string; readonly gatewayPath: string };

/** The agent's HTTP endpoint, whose port another process may have for a while. */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #address: ListenAddress;
  #app: FastifyInstance | undefined;
  /** Of the first time that it listened: the port may have been any free one. */
  #url: string | undefined;
  #isLent = false;
  /** What is to be done once the server is closed for good. */
  #onClose: readonly (() => void)[] | undefined;
  #private:
    | { readonly acceptor: Server; readonly folder: string | undefined; readonly paths: PrivatePaths }
    | undefined;
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
    try {
      const app = await httpApp(this.#options);
      this.#app = app;
      await app.listen({ host: this.#address.host, port: this.#address.port });
      if (this.#stopped) {
        await app.close();
        return;
      }
      this.#url = urlOf(app.server);
      this.#listens();
    } catch (error) {
      await this.#app?.close();
      this.#app = undefined;
      this.#failed(error, () => void this.start());
    }
  }

  /** Where it listens; undefined until it does. */
  get url(): string | undefined {
    return this.#app === undefined ? undefined : this.#url;
  }

  /** The server, for a process that is to accept connections beside it; undefined while it does not listen. */
  get listening(): Server | undefined {
    return this.#app?.server.listening === true ? this.#app.server : undefined;
  }

  /** Another process accepts connections now; those that are here stay. */
  lendPort(): void {
    const server = this.listening;
    if (server === undefined) return;
    this.#isLent = true;
    // Fastify has a second server where a name stands for two addresses, and closes it with the first. It goes on.
    this.#onClose ??= server.listeners('close') as (() => void)[];
    server.removeAllListeners('close');
    // Only the listening ends: Node's HTTP server, closed as such, would no longer look after the connections that it has.
    NetServer.prototype.close.call(server);
  }

  /** The process that had the port is gone. */
  async takePortBack(): Promise<void> {
    const app = this.#app;
    if (!this.#isLent || this.#stopped || app === undefined) return;
    try {
      app.server.listen({ host: this.#address.host, port: Number(new URL(this.#url ?? '').port) });
      await once(app.server, 'listening');
      this.#isLent = false;
      this.#listens();
    } catch (error) {
      this.#failed(error, () => void this.takePortBack());
    }
  }

  /** Listens at a private socket too; once. @throws {Error} Where no folder can be made for one. */
  async openPrivately(): Promise<PrivatePaths> {
    const app = this.#app;
    invariant(app !== undefined, 'the endpoint listens before another process is started for it');
    if (this.#private !== undefined) return this.#private.paths;
    const folder = await privateFolder();
    const paths = { agentPath: socketPath(folder, 'agent'), gatewayPath: socketPath(folder, 'gateway') };
    const acceptor = privateAcceptor(app.server);
    this.#private = { acceptor, folder, paths };
    try {
      await once(acceptor.listen(paths.agentPath), 'listening');
      return paths;
    } catch (error) {
      await this.closePrivately();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const app = this.#app;
    this.#app = undefined;
    await app?.close();
    // The first one may have been closed before, which is not told a second time.
    for (const close of this.#onClose ?? []) close();
    await this.closePrivately();
  }

  #listens(): void {
    this.#backoff.reset();
    this.#health.report('ok');
  }

  #failed(error: unknown, again: () => void): void {
    const waitMs = this.#backoff.nextMs();
    this.#health.report(
      'degraded',
      `http-listen-failed: ${this.#options.config.listen}: ${errorMessage(error)}; next attempt in ${Math.round(waitMs)} ms`,
    );
    if (!this.#stopped) this.#retry = this.#options.deps.clock.setTimer(again, waitMs);
  }

  /** What was opened privately can be opened anew. */
  async closePrivately(): Promise<void> {
    const opened = this.#private;
    this.#private = undefined;
    opened?.acceptor.close();
    if (opened?.folder !== undefined) await rm(opened.folder, { recursive: true, force: true });
  }
}

function urlOf(server: Server): string | undefined {
  const address = server.address();
  if (address === null || typeof address === 'string') return undefined;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

/** Windows has named pipes in a place of their own, which only the user who made one may use. */
async function privateFolder(): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined;
  void sweepPrivateFolders('http');
  return makePrivateFolder('http');
}

function socketPath(folder: string | undefined, name: string): string {
  return folder === undefined ? `\\\\.\\pipe\\andon-${process.pid}-${name}` : join(folder, `${name}.sock`);
}
