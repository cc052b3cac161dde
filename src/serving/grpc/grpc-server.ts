import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js';
import type { ClientInference } from '../../contracts/inference.ts';
import { Backoff } from '../../platform/backoff.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage, invariant } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { AccessControl } from '../../web/access/access-control.ts';
import { ConnectionBudget } from '../../web/connection-budget.ts';
import type { EndpointConfig } from '../../web/endpoint-config.ts';
import { type ListenAddress, listenAddress } from '../../web/listen-address.ts';
import { ServerCertificate } from '../../web/server-tls.ts';
import type { RequestResources } from '../v2/request-resources.ts';
import { CallGate } from './call-gate.ts';
import { inferenceCalls, serviceDefinition } from './inference-calls.ts';

export type GrpcServerOptions = {
  readonly settings: {
    readonly version: string;
    readonly serving: EndpointConfig & { readonly maxBodyBytes: number; readonly strictReadiness: boolean };
    readonly localToken: string | undefined;
  };
  /** Address and port. */
  readonly listen: string;
  readonly models: ClientInference;
  readonly resources: RequestResources;
  /** Time between the pings of a connection, and the time for their answers. */
  readonly keepAliveMs?: number;
  readonly deps: Deps;
};

const COMPONENT = 'serving/grpc';
/** Calls of one connection at a time. A client waits with more. */
const CALLS_PER_CONNECTION_MAX = 128;
/** A connection without a call ends after this time; clients connect again at their next call. */
const IDLE_MS_MAX = 300_000;
/** A client that lost its power or its network is detected after twice this time. */
const KEEP_ALIVE_MS = 30_000;
/** Calls in progress may end within this time when the server stops. */
const DRAIN_MS = 1_500;

/**
 * The model server's gRPC endpoint. It listens itself and passes each connection to the gRPC library, so that connections
 * have the limits, the certificate and its renewal of the HTTP endpoints.
 */
export class GrpcServer implements AsyncDisposable {
  readonly #options: GrpcServerOptions;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #access: AccessControl;
  readonly #certificate: ServerCertificate | undefined;
  readonly #connections: ConnectionBudget;
  readonly #health: ComponentHealth;
  readonly #backoff: Backoff;
  readonly #listen: ListenAddress;
  #listener: NetServer | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: GrpcServerOptions) {
    const { settings, listen, models, resources, keepAliveMs = KEEP_ALIVE_MS, deps } = options;
    const { serving, version } = settings;
    const address = listenAddress(listen);
    invariant(address !== undefined, `the address '${listen}' passed the schema`);
    this.#options = options;
    this.#listen = address;
    this.#access = new AccessControl({
      config: serving,
      localToken: settings.localToken,
      hosts: undefined,
      loopback: address.loopback,
      clientCertificates: false,
      component: COMPONENT,
      deps,
    });
    this.#certificate = serving.tls === undefined ? undefined : new ServerCertificate(serving.tls, COMPONENT, deps);
    this.#connections = new ConnectionBudget(serving.maxConnections, deps);
    this.#health = deps.health.component(COMPONENT);
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: deps.random });
    this.#server = new Server({
      'grpc.max_receive_message_length': serving.maxBodyBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': CALLS_PER_CONNECTION_MAX,
      'grpc.max_connection_idle_ms': IDLE_MS_MAX,
      'grpc.keepalive_time_ms': keepAliveMs,
      'grpc.keepalive_timeout_ms': keepAliveMs,
      'grpc.enable_channelz': 0,
      interceptors: [
        new CallGate({
          access: this.#access,
          connections: this.#connections,
          takeMemory: resources.takeMemory,
          requestTimeoutMs: serving.requestTimeoutMs,
          deps,
        }).intercept,
      ],
    });
    const { strictReadiness } = serving;
    const calls = { inference: models, resources, version, strictReadiness, access: this.#access, deps };
    this.#server.addService(serviceDefinition(), inferenceCalls(calls));
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Listens. If the address is in use, reports it and retries with backoff. */
  async start(): Promise<void> {
    try {
      const listener = this.#createListener();
      listener.listen({ host: this.#listen.host, port: this.#listen.port });
      await once(listener, 'listening');
      if (this.#stopped) return void listener.close();
      this.#listener = listener;
      this.#certificate?.watch((renewed) => (listener as TlsServer).setSecureContext(renewed));
      this.#backoff.reset();
      this.#health.report('ok');
      this.#options.deps.log.info({ address: this.address }, 'The model server listens for gRPC.');
    } catch (error) {
      const waitMs = this.#backoff.nextMs();
      this.#health.report(
        'degraded',
        `http-listen-failed: ${this.#options.listen}: ${errorMessage(error)}; next attempt in ${Math.round(waitMs)} ms`,
      );
      if (!this.#stopped) this.#retry = this.#options.deps.clock.setTimer(() => void this.start(), waitMs);
    }
  }

  /** Host and port; undefined until it listens. */
  get address(): string | undefined {
    const found = this.#listener?.address() as AddressInfo | null | undefined;
    if (found === undefined || found === null) return undefined;
    return `${found.family === 'IPv6' ? `[${found.address}]` : found.address}:${found.port}`;
  }

  /** Calls in progress may end; then all connections are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#listener?.close();
    const limit = Promise.withResolvers<undefined>();
    const timer = this.#options.deps.clock.setTimer(() => limit.resolve(undefined), DRAIN_MS);
    await Promise.race([this.#drain(), limit.promise]);
    timer.cancel();
    this.#server.forceShutdown();
    for (const { socket } of this.#connections.connections) socket.destroy();
    this.#access.dispose();
    this.#certificate?.dispose();
    this.#health.remove();
  }

  /** Resolves when all calls have ended and their answers are sent. */
  async #drain(): Promise<void> {
    const closed = this.#connections.connections.map(
      ({ socket }) => new Promise((resolve) => socket.once('close', resolve)),
    );
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    // An answer may still be on its way out of the socket when its call has ended.
    await Promise.all(closed);
  }

  #createListener(): NetServer {
    const certificate = this.#certificate;
    if (certificate === undefined)
      return createServer({ noDelay: true }, (socket) => {
        if (this.#admit(socket)) this.#injector.injectConnection(socket);
      });
    const options = certificate.read();
    const isMutual = options.ca !== undefined;
    const server = createTlsServer({
      ...options,
      ALPNProtocols: ['h2'],
      requestCert: isMutual,
      rejectUnauthorized: isMutual,
      handshakeTimeout: this.#options.settings.serving.requestTimeoutMs,
      noDelay: true,
    });
    server.on('connection', (socket: Socket) => this.#admit(socket));
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => socket.destroy());
      this.#injector.injectConnection(socket);
    });
    return server;
  }

  #admit(socket: Socket): boolean {
    socket.on('error', () => socket.destroy());
    const dueMs = this.#options.deps.clock.monotonicMs() + this.#options.settings.serving.requestTimeoutMs;
    return this.#connections.admit(socket, dueMs) !== undefined;
  }
}
