import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:net';
import type { onRequestAsyncHookHandler } from 'fastify';
import type { AgentProtocol, GatewayProtocol } from '../contracts/gateway.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import { childFlags } from '../platform/heap-flags.ts';
import type { ComponentHealth, HealthChange } from '../platform/health.ts';
import { relayLogLine } from '../platform/log.ts';
import type { MetricValues } from '../platform/metrics.ts';
import { sumOfCounts } from '../platform/metrics.ts';
import type { RpcHandlers, RpcPort } from '../platform/rpc.ts';
import { RpcClient, serveRpc } from '../platform/rpc.ts';
import { forward } from './forward.ts';
import type { GatewaySettings } from './gateway-settings.ts';
import { httpFailure } from './http-errors.ts';
import type { HttpServer } from './http-server.ts';

/** A process that starts on a machine short of time. */
const START_DEADLINE_MS = 30_000;
const PING_INTERVAL_MS = 5_000;
/** A gateway that reads a large request answers once that is done. */
const PING_DEADLINE_MS = 20_000;
/** What a scrape or a list of models waits for. */
const ASK_DEADLINE_MS = 2_000;
const STOP_DEADLINE_MS = 5_000;
/** What requests under way hold should not outlive two collections. */
const YOUNG_MB = 8;

export type GatewayOptions = {
  /** URL of hosts/gateway.ts. */
  readonly entry: URL;
  readonly settings: Omit<GatewaySettings, 'agentPath' | 'gatewayPath'>;
  readonly server: HttpServer;
  /** The agent's own models, for the gateway to ask. */
  readonly agent: Omit<RpcHandlers<AgentProtocol>, 'log' | 'health'>;
  readonly deps: Deps;
};

/** A gateway that was started. */
type Running = {
  readonly child: ChildProcess;
  readonly rpc: RpcClient<GatewayProtocol>;
  /** Resolves once it serves; rejects where it ends before. */
  readonly serves: Promise<void>;
  /** Components that it has reported. */
  readonly components: Set<string>;
};

/**
 * The process that serves models to visitors, as the agent's own process sees it: started with the first request for it, given the
 * port, and replaced when it ends. Whatever visitors do is done there, and turns no loop and fills no heap that a watch needs.
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #deps: Deps;
  readonly #backoff: Backoff;
  readonly #excluded: () => void;
  #health: ComponentHealth | undefined;
  #running: Running | undefined;
  /** To start another. */
  #timer: Timer | undefined;
  #pings: Timer | undefined;
  /** What it counted when it was last asked, and what those before it had counted. */
  #counts: readonly MetricValues[] = [];
  #pastCounts: readonly MetricValues[] = [];
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
    if (this.#options.server.acceptor === undefined) this.#startIn(this.#backoff.nextMs());
    else void this.ready().catch(() => undefined);
  }

  /**
   * Resolves once it serves, starting it where it does not.
   *
   * @throws {OperatingError} 'gateway-away' (retry)
   */
  async ready(): Promise<void> {
    if (this.#stopped) throw httpFailure('gateway-away', 'The agent is stopping');
    if (this.#timer !== undefined)
      throw httpFailure('gateway-away', 'The gateway has ended and is about to be started');
    const { acceptor } = this.#options.server;
    if (this.#running === undefined && acceptor === undefined)
      throw httpFailure('gateway-away', 'Nobody listens at the address of http.listen');
    this.#running ??= this.#start(acceptor);
    await this.#running.serves;
  }

  /** For a route of the agent's own process: hands the request on, before its body is read. */
  get answers(): onRequestAsyncHookHandler {
    return async (request, reply) => {
      await this.ready();
      reply.hijack();
      // By its next connection the client comes to the gateway itself.
      forward(request.raw, reply.raw, { socketPath: this.#options.server.privatePath('gateway'), closes: true });
    };
  }

  /** Its models; none where it does not run or is too busy to say. */
  async statuses(): Promise<readonly ModelStatus[]> {
    return (await this.#running?.rpc.call('statuses', undefined, ASK_DEADLINE_MS).catch(() => [])) ?? [];
  }

  /** Another version may be active. */
  reload(): void {
    this.#running?.rpc.call('reload', undefined).catch(() => undefined);
  }

  /** Process id; undefined while there is none. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#excluded();
    this.#timer?.cancel();
    this.#pings?.cancel();
    const child = this.#running?.child;
    if (child === undefined) return this.#health?.remove();
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    const limit = this.#deps.clock.setTimer(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await exited;
    limit.cancel();
    this.#health?.remove();
  }

  #start(acceptor: Server | undefined): Running {
    const { entry, server, settings, agent, deps } = this.#options;
    this.#health ??= deps.health.component('http/gateway');
    const child = fork(entry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...childFlags(YOUNG_MB)],
    });
    const port = childPort(child);
    const rpc = new RpcClient<GatewayProtocol>(port, deps.clock);
    const running = { child, rpc, serves: this.#serves(child, rpc), components: new Set<string>() };
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
    const paths = { agentPath: server.privatePath('agent'), gatewayPath: server.privatePath('gateway') };
    child.send({ settings: { ...settings, ...paths } }, acceptor, () => undefined);
    return running;
  }

  async #serves(child: ChildProcess, rpc: RpcClient<GatewayProtocol>): Promise<void> {
    const failed = (error: unknown): never => {
      child.kill('SIGKILL');
      throw httpFailure('gateway-away', `The gateway could not be started: ${errorMessage(error)}`, { cause: error });
    };
    await rpc.call('ping', undefined, START_DEADLINE_MS).catch(failed);
    // Both accept until here, so that nobody is turned away.
    this.#options.server.lendPort();
    this.#health?.report('ok');
    this.#watchOver(child, rpc);
  }

  /** Ends a gateway that does not answer any more. */
  #watchOver(child: ChildProcess, rpc: RpcClient<GatewayProtocol>): void {
    this.#pings = this.#deps.clock.setTimer(() => {
      rpc.call('ping', undefined, PING_DEADLINE_MS).then(
        () => {
          this.#backoff.reset();
          if (this.#running?.child === child) this.#watchOver(child, rpc);
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
    this.#pings?.cancel();
    running.rpc.close(httpFailure('gateway-away', `The gateway ended (${how})`));
    for (const name of running.components) this.#deps.health.adopt({ name, now: undefined });
    this.#keepCounts();
    if (this.#stopped) return;
    const waitMs = this.#backoff.nextMs();
    this.#health?.report('degraded', `the gateway ended (${how}); another starts in ${Math.round(waitMs)} ms`);
    void this.#options.server.takePortBack();
    this.#startIn(waitMs);
  }

  #startIn(waitMs: number): void {
    this.#timer = this.#deps.clock.setTimer(() => {
      this.#timer = undefined;
      this.start();
    }, waitMs);
  }

  /** Counters go on from where those of the processes before were. */
  #keepCounts(): void {
    const past = [...this.#pastCounts, ...this.#counts];
    this.#pastCounts = past;
    this.#counts = [];
    void sumOfCounts(past).then((sum) => (this.#pastCounts = sum));
  }

  #adopt(running: Running, change: HealthChange): void {
    running.components.add(change.name);
    this.#deps.health.adopt(change);
  }

  async #values(): Promise<readonly MetricValues[]> {
    const found = await this.#running?.rpc.call('metrics', undefined, ASK_DEADLINE_MS).catch(() => undefined);
    this.#counts = found ?? this.#counts;
    return [...this.#pastCounts, ...this.#counts];
  }
}

function childPort(child: ChildProcess): RpcPort {
  return {
    post: (message) => {
      if (!child.connected) throw httpFailure('gateway-away', 'its channel is closed');
      // A failed write is told by 'error' or 'exit' as well, which settle the call.
      child.send(message as object, () => undefined);
    },
    onMessage: (listener) => child.on('message', listener),
  };
}
