import { Worker } from 'node:worker_threads';
import type {
  ReadTag,
  WaveformAnalysis,
  WaveformJob,
  WaveformResult,
  WaveformView,
  WaveformViews,
} from '../contracts/waveforms/waveform-analysis.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { RpcClient } from '../platform/rpc.ts';
import { threadPort } from '../platform/rpc-ports.ts';
import { waveformFailure } from './waveform-errors.ts';
import { waveformMetrics } from './waveform-metrics.ts';
import type { WaveformProtocol } from './waveform-protocol.ts';

/** Longest time for one call, waiting included. A worker that exceeds it hangs and is replaced. */
const DEADLINE_MS = 60_000;
/** Longest time between a waveform and the speed of the machine. */
const SPEED_AGE_MS_MAX = 60_000;
/** Time that health reports dropped waveforms. */
const DROPS_SHOWN_MS = 60_000;

export type WaveformAnalyzerOptions = {
  /** URL of hosts/waveform-worker.ts. */
  readonly entry: URL;
  readonly maxWaiting: () => number;
  /** Reads the speed of a machine. */
  readonly readTag: ReadTag;
  readonly deps: Deps;
};

type Connection = { readonly worker: Worker; readonly rpc: RpcClient<WaveformProtocol> };

/**
 * Sends waveforms to a worker thread, which calculates their features: 16,384 samples take about 10 ms, too long for the thread
 * that reads the sources. The thread starts with the first waveform. A thread that ends or hangs is replaced with the next one.
 */
export class WaveformAnalyzer implements WaveformAnalysis, WaveformViews, AsyncDisposable {
  readonly #options: WaveformAnalyzerOptions;
  readonly #metrics;
  readonly #views = new Map<string, WaveformView>();
  #health: ComponentHealth | undefined;
  #connection: Connection | undefined;
  #waiting = 0;
  #droppedMs = -Infinity;
  #disposed = false;

  constructor(options: WaveformAnalyzerOptions) {
    this.#options = options;
    this.#metrics = options.deps.metrics.of(waveformMetrics);
  }

  tags(): readonly string[] {
    return [...this.#views.keys()].toSorted();
  }

  view(tag: string): WaveformView | undefined {
    return this.#views.get(tag);
  }

  /** Forgets the waveforms of tags that a change of the configuration removed. */
  keep(tags: ReadonlySet<string>): void {
    for (const tag of this.#views.keys()) if (!tags.has(tag)) this.#views.delete(tag);
  }

  async analyse({ tag, timeMs, samples, rules }: WaveformJob): Promise<WaveformResult> {
    const { maxWaiting, deps } = this.#options;
    if (this.#waiting >= maxWaiting()) {
      const text = `${this.#waiting} waveforms wait for their features, the most that waveforms.maxWaiting allows`;
      throw this.#dropped('queue-full', waveformFailure('waveform-queue-full', text));
    }
    const startMs = deps.clock.monotonicMs();
    const view = { tag, timeMs, unit: rules.unit, sampleRate: rules.sampleRate, samples: samples.length };
    const speedHz = this.#speedHz(rules.speed, timeMs);
    const connection = this.#connect();
    this.#setWaiting(this.#waiting + 1);
    try {
      const params = { samples, rules, speedHz };
      const result = await connection.rpc.call('analyse', params, DEADLINE_MS, [samples.buffer]);
      this.#metrics.andon_waveforms_total.inc();
      this.#metrics.andon_waveform_seconds.observe({}, (deps.clock.monotonicMs() - startMs) / 1000);
      this.#views.set(tag, { ...view, ...result, speedHz });
      this.#reportWell();
      return result;
    } catch (error) {
      // A worker that hangs is replaced.
      this.#lose(connection, `failed: ${errorMessage(error)}`);
      throw this.#dropped('worker-lost', error);
    } finally {
      this.#setWaiting(this.#waiting - 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#health?.remove();
    const worker = this.#connection?.worker;
    if (this.#connection !== undefined) this.#lose(this.#connection, 'is stopped');
    await worker?.terminate();
  }

  #speedHz(speed: WaveformJob['rules']['speed'], timeMs: number): number | undefined {
    const reading = speed === undefined ? undefined : this.#options.readTag(speed.tag);
    if (speed === undefined || reading?.value === undefined || reading.quality !== 'good') return undefined;
    // A publisher that fell silent leaves its last speed, and a waveform may be old.
    if (Math.abs(timeMs - reading.timestampMs) > SPEED_AGE_MS_MAX) return undefined;
    return Math.abs(reading.value) * speed.toHz;
  }

  #connect(): Connection {
    if (this.#disposed) throw waveformFailure('waveform-worker-lost', 'The waveform worker is stopped');
    if (this.#connection !== undefined) return this.#connection;
    const { entry, deps } = this.#options;
    if (this.#health !== undefined) this.#metrics.andon_waveform_worker_restarts_total.inc();
    this.#health ??= deps.health.component('waveforms');
    const worker = new Worker(entry, { name: 'waveform' });
    const connection = { worker, rpc: new RpcClient<WaveformProtocol>(threadPort(worker), deps.clock) };
    this.#connection = connection;
    worker.on('error', (error) => this.#lose(connection, `failed: ${errorMessage(error)}`));
    worker.on('exit', (code) => this.#lose(connection, `ended with code ${code}`));
    return connection;
  }

  /** Ends the worker. Its waveforms are dropped. */
  #lose(connection: Connection, fate: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    connection.rpc.close(waveformFailure('waveform-worker-lost', `The waveform worker ${fate}`));
    if (!this.#disposed)
      this.#health?.report('degraded', `The waveform worker ${fate}. The next waveform starts another`);
    void connection.worker.terminate();
  }

  #dropped<E>(reason: 'queue-full' | 'worker-lost', error: E): E {
    const { deps } = this.#options;
    this.#metrics.andon_waveforms_dropped_total.inc({ reason });
    this.#droppedMs = deps.clock.monotonicMs();
    if (reason === 'queue-full')
      this.#health?.report('degraded', `Waveforms are dropped: ${errorMessage(error)}. Send fewer or shorter ones`);
    return error;
  }

  #reportWell(): void {
    if (this.#options.deps.clock.monotonicMs() - this.#droppedMs > DROPS_SHOWN_MS) this.#health?.report('ok');
  }

  #setWaiting(waiting: number): void {
    this.#waiting = waiting;
    this.#metrics.andon_waveforms_waiting.set(waiting);
  }
}
