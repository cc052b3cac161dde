import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { onRequestAsyncHookHandler } from 'fastify';
import type { AgentProtocol, GatewayProtocol } from '../../contracts/gateway.ts';
import type { ModelStatus } from '../../contracts/inference.ts';
import { Backoff } from '../../platform/backoff.ts';
import { childPort } from '../../platform/child-port.ts';
import type { Timer } from '../../platform/clock.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorMessage } from '../../platform/errors.ts';
import { childFlags } from '../../platform/heap-flags.ts';
import type { ComponentHealth, HealthChange } from '../../platform/health.ts';
import { relayLogLine } from '../../platform/log.ts';
import type { MetricValues } from '../../platform/metrics.ts';
import type { RpcHandlers } from '../../platform/rpc.ts';
import { RpcClient, serveRpc } from '../../platform/rpc.ts';
import { forward, refuse } from '../../web/forward.ts';
import type { GatewaySettings } from './gateway-settings.ts';
import { TAKE_PORT } from './gateway-settings.ts';
import { httpFailure } from '../../web/http-errors.ts';
import type { HttpServer, PrivatePaths } from '../../web/http-server.ts';
import { isHandedOn } from '../../web/private-connections.ts';

/** A process that starts on a machine short of time. */
const START_DEADLINE_MS = 30_000;
const PING_INTERVAL_MS = 2_000;
/** It has a low priority, and may be at a large request; while it hangs nobody else is answered either. */
const PING_DEADLINE_MS = 8_000;
/** What a scrape or a list of models waits for. */
const ASK_DEADLINE_MS = 2_000;
const STOP_DEADLINE_MS = 3_000;
/** What requests under way hold should not outlive two collections. */
const YOUNG_MB = 8;

export type GatewayOptions = {
  /** URL of hosts/gateway.ts. */
  readonly entry: URL;
  readonly settings: Omit<GatewaySettings, keyof PrivatePaths>;
  readonly server: HttpServer;
  /** The agent's own models, for the gateway to ask. */
  readonly agent: Omit<RpcHandlers<AgentProtocol>, 'log' | 'health'>;
  readonly deps: Deps;
};

/** A gateway that was started. */
type Running = {
  readonly child: ChildProcess;
  readonly rpc: RpcClient<GatewayProtocol>;
  /** Components that it has reported. */
  readonly components: Set<string>;
  /** Why it could not be started. */
  failure: string | undefined;
};

/**
 * The process that serves models to clients, as the agent's own process sees it: started with the first request for it, given the
 * port, and replaced when it ends. Whatever clients do is done there, and turns no loop and fills no heap that a watch needs.
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #deps: Deps;
  readonly #backoff: Backoff;
  readonly #excluded: () => void;
  #health: ComponentHealth | undefined;
  #running: Running | undefined;
  /** Resolves once the one that runs serves; rejects where it ends before. */
  #serves: Promise<PrivatePaths> | undefined;
  /** To start another. */
  #timer: Timer | undefined;
  #pings: Timer | undefined;
  /** What it had counted when it was last asked. */
  #counts: readonly MetricValues[] = [];
  #stopped = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#backoff = new Backoff({ firstMs: 200, maxMs: 30_000, random: options.deps.random });
    this.#excluded = options.deps.metrics.include(() => this.#values());
  }

  /** Starts it before anybody asks; where that fails, health says why, and it is tried again. */
  start(): void {
    // Until the address has been taken, there is no port to give.
    if (this.#options.server.listening === undefined) this.#startIn(this.#backoff.nextMs());
    else void this.ready().catch(() => undefined);
  }

  /**
   * Resolves once it serves, starting it where it does not.
   *
   * @returns Where it and the agent hear of each other's requests.
   * @throws {OperatingError} 'gateway-away' (retry)
   */
  async ready(): Promise<PrivatePaths> {
    if (this.#stopped) throw httpFailure('gateway-away', 'The agent is stopping');
    if (this.#timer !== undefined)
      throw httpFailure('gateway-away', 'The gateway has ended and is about to be started');
    if (this.#running === undefined && this.#options.server.listening === undefined)
      throw httpFailure('gateway-away', 'Nobody listens at the address of http.listen');
    return (this.#serves ??= this.#start());
  }

  /** For a route of the agent's own process: hands the request on, before its body is read. */
  get answers(): onRequestAsyncHookHandler {
    return async ({ raw: request }, reply) => {
      const { raw: response } = reply;
      // The gateway has handed it on, since it does not know the path: there is nobody else to ask.
      if (isHandedOn(request)) throw httpFailure('gateway-away', `The gateway does not answer ${request.url}`);
      // From here on nobody else answers, or takes it amiss that the body is not read while the gateway starts.
      reply.hijack();
      request.socket.setTimeout(0);
      try {
        const { gatewayPath } = await this.ready();
        // By its next connection the client comes to the gateway itself.
        forward(request, response, { socketPath: gatewayPath, closes: true, clock: this.#deps.clock });
      } catch (error) {
        refuse(response, 503, errorMessage(error), { 'retry-after': '1' });
      }
    };
  }

  /**
   * Its models; none where it does not run.
   *
   * @throws {OperatingError} 'gateway-away' (retry) where it runs and does not say.
   */
  async statuses(): Promise<readonly ModelStatus[]> {
    try {
      return (await this.#running?.rpc.call('statuses', undefined, ASK_DEADLINE_MS)) ?? [];
    } catch (error) {
      const message = `The gateway does not say which models clients use: ${errorMessage(error)}`;
      throw httpFailure('gateway-away', message, { cause: error });
    }
  }

  /** Another version may be active. */
  reload(): void {
    this.#running?.rpc.call('reload', undefined).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#pings?.cancel();
    this.#excluded();
    const child = this.#running?.child;
    if (child !== undefined) {
      await this.#values();
      const exited = once(child, 'exit');
      if (child.connected) child.disconnect();
      const limit = this.#deps.clock.setTimer(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      // It may have ended while it was asked.
      if (child.exitCode === null && child.signalCode === null) await exited;
      limit.cancel();
    }
    this.#deps.metrics.retain(this.#counts);
    this.#health?.remove();
  }

  #start(): Promise<PrivatePaths> {
    const { entry, agent, deps } = this.#options;
    this.#health ??= deps.health.component('http/gateway');
    const child = fork(entry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...childFlags(YOUNG_MB)],
    });
    const port = childPort(child);
    const rpc = new RpcClient<GatewayProtocol>(port, deps.clock);
    const running: Running = { child, rpc, components: new Set(), failure: undefined };
    this.#running = running;
    serveRpc<AgentProtocol>(port, {
      ...agent,
      log: (line) => relayLogLine(deps.log, line),
      health: (change) => this.#adopt(running, change),
    });
    child.on('error', (error) => {
      child.kill('SIGKILL');
      this.#ended(running, `could not be started or reached: ${errorMessage(error)}`);
    });
    child.once('exit', (code, signal) =>
      this.#ended(running, signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
    const serves = this.#prepare(running);
    // Whoever waits for it hears of it; nobody may be waiting.
    serves.catch(() => undefined);
    return serves;
  }

  async #prepare(running: Running): Promise<PrivatePaths> {
    const { child, rpc } = running;
    const { server, settings } = this.#options;
    let paths: PrivatePaths;
    try {
      paths = await server.openPrivately();
      await rpc.call('prepare', { ...settings, ...paths }, START_DEADLINE_MS);
      // Nothing that takes it a turn of its loop is left to be done: a connection that comes before it listens would be lost.
      child.send(TAKE_PORT, server.listening, () => undefined);
      await rpc.call('ping', undefined, START_DEADLINE_MS);
    } catch (error) {
      const message = `The gateway could not be started: ${errorMessage(error)}`;
      running.failure = message;
      child.kill('SIGKILL');
      // Should it have been for the sockets, others are made next time.
      await server.closePrivately();
      throw httpFailure('gateway-away', message, { cause: error });
    }
    if (this.#stopped) return paths;
    // Both accept until here, so that nobody is turned away.
    server.lendPort();
    this.#health?.report('ok');
    this.#watchOver(child, rpc);
    return paths;
  }

  /** Ends a gateway that does not answer any more. */
  #watchOver(child: ChildProcess, rpc: RpcClient<GatewayProtocol>): void {
    this.#pings = this.#deps.clock.setTimer(() => {
      rpc.call('ping', undefined, PING_DEADLINE_MS).then(
        () => {
          this.#backoff.reset();
          if (this.#running?.child === child && !this.#stopped) this.#watchOver(child, rpc);
        },
        (error: unknown) => {
          if (this.#running?.child !== child || this.#stopped) return;
          this.#deps.log.warn({ pid: child.pid }, `The gateway is ended: ${errorMessage(error)}`);
          child.kill('SIGKILL');
        },
      );
    }, PING_INTERVAL_MS);
  }

  #ended(running: Running, how: string): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    this.#serves = undefined;
    this.#pings?.cancel();
    running.rpc.close(httpFailure('gateway-away', `The gateway ended (${how})`));
    for (const name of running.components) this.#deps.health.adopt({ name, now: undefined });
    if (this.#stopped) return;
    this.#deps.metrics.retain(this.#counts);
    this.#counts = [];
    const waitMs = this.#backoff.nextMs();
    const reason = running.failure ?? `The gateway ended (${how})`;
    this.#health?.report('degraded', `${reason}; another starts in ${Math.round(waitMs)} ms`);
    void this.#options.server.takePortBack();
    this.#startIn(waitMs);
  }

  #startIn(waitMs: number): void {
    this.#timer = this.#deps.clock.setTimer(() => {
      this.#timer = undefined;
      this.start();
    }, waitMs);
  }

  #adopt(running: Running, change: HealthChange): void {
    if (this.#running !== running) return;
    running.components.add(change.name);
    this.#deps.health.adopt(change);
  }

  async #values(): Promise<readonly MetricValues[]> {
    const found = await this.#running?.rpc.call('metrics', undefined, ASK_DEADLINE_MS).catch(() => undefined);
    this.#counts = found ?? this.#counts;
    return this.#counts;
  }
}
