import { type ChildProcess, fork } from 'node:child_process';
import type { ModelStatus } from '../contracts/inference.ts';
import type { AgentProtocol, ModelServerProtocol } from '../contracts/model-server.ts';
import { Backoff } from '../platform/backoff.ts';
import { childPort } from '../platform/rpc-ports.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { limitGarbageEntry } from '../platform/entries.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ComponentHealth, HealthChange } from '../platform/health.ts';
import { childFlags } from '../platform/heap-flags.ts';
import { relayLogLine } from '../platform/log.ts';
import type { MetricValues } from '../platform/metrics.ts';
import { RpcClient, type RpcHandlers, serveRpc } from '../platform/rpc.ts';
import type { ChangingSettings, ModelServerSettings } from './model-server-settings.ts';
import { v2Failure } from './v2/v2-errors.ts';

/** Enough for a process that starts on a busy machine. */
const START_DEADLINE_MS = 30_000;
const PING_INTERVAL_MS = 2_000;
/** The process has a low priority and may be reading a large request. */
const PING_DEADLINE_MS = 8_000;
/** Longest wait of a scrape or of a list of models. */
const CALL_DEADLINE_MS = 2_000;
const STOP_DEADLINE_MS = 3_000;
/** Requests in progress should not outlive two collections of the young generation. */
const YOUNG_MB = 8;

export type ModelServerOptions = {
  /** URL of hosts/model-server.ts. */
  readonly entry: URL;
  /** Environment of the process. */
  readonly env: NodeJS.ProcessEnv;
  readonly settings: ModelServerSettings;
  readonly changing: () => ChangingSettings;
  /** The agent's own models, for the process to call. */
  readonly agent: Omit<RpcHandlers<AgentProtocol>, 'log' | 'health' | 'listening'>;
  readonly deps: Deps;
};

/** A process that was started. */
type Running = {
  readonly child: ChildProcess;
  readonly rpc: RpcClient<ModelServerProtocol>;
  /** Health components that it has reported. */
  readonly components: Set<string>;
  url: string | undefined;
  /** Reason for which the agent ended it. */
  failure: string | undefined;
};

/**
 * Supervises the process that serves models to clients (hosts/model-server.ts). The process owns its port and its hosts, so
 * client traffic cannot delay monitoring. If it ends or hangs it is restarted with backoff, and health reports it; the agent's
 * own HTTP endpoint is not involved.
 */
export class ModelServer implements AsyncDisposable {
  readonly #options: ModelServerOptions;
  readonly #deps: Deps;
  readonly #backoff: Backoff;
  readonly #health: ComponentHealth;
  readonly #excludeMetrics: () => void;
  #running: Running | undefined;
  /** The next restart, or the next ping. */
  #timer: Timer | undefined;
  /** Metric values of the process at the last query. */
  #counts: readonly MetricValues[] = [];
  #stopped = false;

  constructor(options: ModelServerOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#health = options.deps.health.component('serving');
    this.#backoff = new Backoff({ firstMs: 200, maxMs: 30_000, random: options.deps.random });
    this.#excludeMetrics = options.deps.metrics.include(() => this.#values());
  }

  start(): void {
    const { entry, env, agent, deps } = this.#options;
    const child = fork(entry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env,
      execArgv: [...childFlags(YOUNG_MB), '--import', limitGarbageEntry.href],
    });
    const port = childPort(child);
    const rpc = new RpcClient<ModelServerProtocol>(port, deps.clock);
    const running: Running = { child, rpc, components: new Set(), url: undefined, failure: undefined };
    this.#running = running;
    serveRpc<AgentProtocol>(port, {
      ...agent,
      log: (line) => relayLogLine(deps.log, line),
      health: (change) => this.#adoptHealth(running, change),
      listening: (url) => {
        running.url = url;
        deps.log.info({ url }, 'The model server listens.');
      },
    });
    child.on('error', (error) => this.#kill(running, `could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, signal) =>
      this.#ended(running, signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
    void this.#supervise(running);
  }

  /** URL that the model server listens on, or the configured address while it does not. */
  get address(): string {
    return this.#running?.url ?? this.#options.settings.serving.listen;
  }

  /**
   * Returns the models that it has loaded; none if its process does not run.
   *
   * @throws {OperatingError} 'model-server-away' (retry) if the process does not answer.
   */
  async statuses(): Promise<readonly ModelStatus[]> {
    try {
      return (await this.#running?.rpc.call('statuses', undefined, CALL_DEADLINE_MS)) ?? [];
    } catch (error) {
      const message = `The model server did not report its loaded models: ${errorMessage(error)}`;
      throw v2Failure('model-server-away', message, { cause: error });
    }
  }

  /** Another version may be active, or other settings of `changing`. */
  reload(): void {
    this.#running?.rpc.call('reload', this.#options.changing()).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#excludeMetrics();
    const child = this.#running?.child;
    if (child !== undefined) {
      const limit = this.#deps.clock.setTimer(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      await this.#values();
      if (child.connected) child.disconnect();
      // It may have ended during the query.
      if (child.exitCode === null && child.signalCode === null) await exited;
      limit.cancel();
    }
    this.#deps.metrics.retain(this.#counts);
    this.#health.remove();
  }

  /** Passes the settings to a new process, then pings it until it ends. */
  async #supervise(running: Running): Promise<void> {
    const { rpc } = running;
    const { settings, changing } = this.#options;
    try {
      await rpc.call('start', { settings, changing: changing() }, START_DEADLINE_MS);
      if (this.#running !== running) return;
      this.#health.report('ok');
      this.#pingLater(running);
    } catch (error) {
      this.#kill(running, `could not be started: ${errorMessage(error)}`);
    }
  }

  #pingLater(running: Running): void {
    if (this.#stopped || this.#running !== running) return;
    this.#timer = this.#deps.clock.setTimer(() => {
      running.rpc.call('ping', undefined, PING_DEADLINE_MS).then(
        () => {
          this.#backoff.reset();
          this.#pingLater(running);
        },
        (error: unknown) => this.#kill(running, `does not answer: ${errorMessage(error)}`),
      );
    }, PING_INTERVAL_MS);
  }

  #kill(running: Running, failure: string): void {
    if (this.#running !== running) return;
    running.failure ??= failure;
    running.child.kill('SIGKILL');
    // A process that could not be started never exits.
    if (running.child.pid === undefined) this.#ended(running, failure);
  }

  #ended(running: Running, how: string): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    this.#timer?.cancel();
    running.rpc.close(v2Failure('model-server-away', `The model server ended (${how})`));
    for (const name of running.components) this.#deps.health.adopt({ name, now: undefined });
    if (this.#stopped) return;
    this.#deps.metrics.retain(this.#counts);
    this.#counts = [];
    const waitMs = this.#backoff.nextMs();
    const reason = running.failure ?? `ended (${how})`;
    this.#health.report(
      'degraded',
      `The model server ${reason}; restarts in ${Math.round(waitMs)} ms`,
      'model-server-away',
    );
    this.#timer = this.#deps.clock.setTimer(() => this.start(), waitMs);
  }

  #adoptHealth(running: Running, change: HealthChange): void {
    if (this.#running !== running) return;
    running.components.add(change.name);
    this.#deps.health.adopt(change);
  }

  async #values(): Promise<readonly MetricValues[]> {
    const values = await this.#running?.rpc.call('metrics', undefined, CALL_DEADLINE_MS).catch(() => undefined);
    this.#counts = values ?? this.#counts;
    return this.#counts;
  }
}
