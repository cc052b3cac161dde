import { Backoff } from '../../platform/backoff.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { type HostExit, type HostOptions, HostProcess, START_DEADLINE_MS } from './host-process.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { NamedTimers } from '../queue/named-timers.ts';
import { WATCH_HOST } from '../../models/store/serving.ts';

/** The host of the watches goes first if the machine is busy. */
const CLIENT_NICENESS = 10;
const RESPAWN_MS_FIRST = 100;
const RESPAWN_MS_MAX = 30_000;
/** A crash after this time resets the waits that earlier crashes built up. */
const STEADY_MS = 10_000;

export type LiveHostOptions = Pick<HostOptions, 'entry' | 'deps'> & {
  /** Name in the configuration. */
  readonly name: string;
  readonly health: ComponentHealth;
  /** A process was started; it has not answered yet. */
  readonly onSpawned: () => void;
  /** It has answered. */
  readonly onStarted: () => void;
  /** @param reason For an operator. */
  readonly onLost: (reason: string) => void;
};

/** The process that gets the work, and the next one if it is lost; each after a longer wait, up to 30 s. */
export class LiveHost {
  readonly #options: LiveHostOptions;
  readonly #metrics;
  readonly #backoff: Backoff;
  readonly #timers: NamedTimers;
  /** All processes: the live one, one that is to take over, one that was replaced. */
  readonly #processes = new Set<HostProcess>();
  #process: HostProcess | undefined;
  #leaving: HostProcess | undefined;
  #startedMs = 0;
  #respawnMs = 0;
  #stopped = false;

  constructor(options: LiveHostOptions) {
    const { deps } = options;
    this.#options = options;
    this.#metrics = deps.metrics.of(inferenceMetrics);
    this.#backoff = new Backoff({ firstMs: RESPAWN_MS_FIRST, maxMs: RESPAWN_MS_MAX, random: deps.random });
    this.#timers = new NamedTimers(deps.clock);
  }

  /** Undefined if it is about to end. */
  get process(): HostProcess | undefined {
    return this.#process?.doomed === true ? undefined : this.#process;
  }

  /** Returns whether the end of a host is expected: another one took over, or all are stopping. */
  isLeaving(host: HostProcess): boolean {
    return this.#stopped || host === this.#leaving;
  }

  /** Monotonic time of its last answer; undefined if none is live or it has not answered yet. */
  get lastAnswerMs(): number | undefined {
    return this.#process?.lastAnswerMs;
  }

  /** A process lives or is about to be started. */
  get isBegun(): boolean {
    return this.#processes.size > 0 || this.#timers.has('respawn');
  }

  /** Milliseconds until the next process is started after a loss; 0 or less if one is there, Infinity after the stop. */
  respawnsInMs(): number {
    return this.#stopped ? Number.POSITIVE_INFINITY : this.#respawnMs - this.#options.deps.clock.monotonicMs();
  }

  spawn(): void {
    const { deps, onSpawned, onStarted } = this.#options;
    const host = this.startAnother();
    this.#process = host;
    this.#startedMs = deps.clock.monotonicMs();
    onSpawned();
    void this.#begin(host).then(onStarted, () => host.kill('hang'));
  }

  /** Starts a process next to the live one. */
  startAnother(): HostProcess {
    const { name, entry, deps } = this.#options;
    const host = new HostProcess(entry, deps.clock, name === WATCH_HOST ? 0 : CLIENT_NICENESS);
    this.#processes.add(host);
    void this.#watch(host);
    return host;
  }

  /** Makes another process the live one. The replaced one ends its current job, and must then be released. */
  replace(host: HostProcess): void {
    this.#leaving = this.#process;
    this.#process = host;
    this.#leaving?.setOomScore('first');
    host.setOomScore('normal');
    this.#startedMs = this.#options.deps.clock.monotonicMs();
  }

  /** Ends the host that was replaced. */
  releaseReplaced(): void {
    this.#leaving?.kill('replaced');
    this.#leaving = undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timers.cancelAll();
    const hosts = [...this.#processes];
    for (const host of hosts) host.kill('stopped');
    await Promise.all(hosts.map((host) => host.exited));
  }

  async #watch(host: HostProcess): Promise<void> {
    const exit = await host.exited;
    this.#processes.delete(host);
    if (this.#process === host) this.#lost(exit);
  }

  async #begin(host: HostProcess): Promise<void> {
    const { name, health, deps } = this.#options;
    const { residentBytes } = await host.call('ping', undefined, START_DEADLINE_MS, 'hang');
    this.#metrics.andon_inference_host_resident_bytes.set({ host: name }, residentBytes);
    deps.log.info({ host: name, pid: host.pid }, 'Inference host started.');
    health.report('ok');
  }

  #lost(exit: HostExit): void {
    const { name, health, deps, onLost } = this.#options;
    this.#process = undefined;
    if (this.#stopped) return;
    const nowMs = deps.clock.monotonicMs();
    if (nowMs - this.#startedMs >= STEADY_MS) this.#backoff.reset();
    const waitMs = this.#backoff.nextMs();
    const reason = `the inference host ended (${exit.reason}: ${exit.detail})`;
    this.#metrics.andon_inference_host_restarts_total.inc({ reason: exit.reason, host: name });
    deps.log.warn({ host: name, ...exit, respawnMs: Math.round(waitMs) }, 'Inference host ended; restarting it.');
    health.report('degraded', `${reason}; restarts in ${Math.round(waitMs)} ms`, 'host-crashed');
    this.#respawnMs = nowMs + waitMs;
    this.#timers.set('respawn', waitMs, () => this.spawn());
    onLost(reason);
  }
}
