import type { Rollup } from '../contracts/sample-history.ts';
import { FormatRefusal, refuseLaterFormat } from './file/database-format.ts';
import { historyFormat } from './history/history-database.ts';
import { historyPath } from './history/history-store.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { OutboxConfig } from './file/outbox-config.ts';
import { outboxMetrics } from './file/outbox-metrics.ts';
import type {
  HistoryBacklog,
  HistoryBatch,
  HistoryOptions,
  HistoryPage,
  HistoryPageRequest,
  HistoryProtocol,
  HistoryReport,
  RollupRequest,
  SampleStorage,
} from './history/history-protocol.ts';
import { WorkerLink } from './worker-link.ts';

const LOST = 'history-worker-lost';
/** Times that a batch is sent. A batch that ends each worker must not stop the history. */
const SENDS_MAX = 3;

/** Longest wait of a read for a worker that is starting. */
const READY_MS = 10_000;

export type HistoryStorageOptions = {
  /** URL of hosts/history-worker.ts. */
  readonly entry: URL;
  /** `path` is absolute. */
  readonly config: OutboxConfig;
  readonly deps: Deps;
};

/**
 * The sample history on the agent's main thread: sends every request to the history worker. Health `history` reports a worker
 * that ended, hangs or cannot write. Start it after the outbox, whose lock covers history.db.
 */
export class HistoryStorage implements SampleStorage, AsyncDisposable {
  readonly flushIntervalMs: number;
  readonly #path: string;
  readonly #deps: Deps;
  readonly #health: ComponentHealth;
  readonly #metrics;
  readonly #link: WorkerLink<HistoryProtocol, HistoryReport>;
  #disposed = false;
  /** Error of the last append; undefined after one that succeeded. */
  #refusal: string | undefined;
  #backlog: HistoryBacklog = { waiting: 0, dropped: 0 };

  constructor({ entry, config, deps }: HistoryStorageOptions) {
    this.#path = historyPath(config);
    this.flushIntervalMs = config.historyFlushIntervalMs;
    this.#deps = deps;
    this.#health = deps.health.component('history');
    this.#metrics = deps.metrics.of(outboxMetrics);
    this.#link = new WorkerLink({
      name: 'history',
      lostCode: LOST,
      entry,
      workerData: () => ({ config }) satisfies HistoryOptions,
      restarts: this.#metrics.andon_history_worker_restarts_total,
      onReport: (report) => this.#publish(report),
      onSlow: (reason) => this.#degraded(reason),
      onDown: (reason) => this.#degraded(reason),
      deps,
    });
  }

  /**
   * Returns immediately: a migration of the file, or a worker that does not start, does not delay monitoring.
   * @throws {FormatRefusal} 'database-newer' if a later version of andon wrote the file.
   */
  start(): void {
    try {
      refuseLaterFormat(this.#path, historyFormat);
    } catch (error) {
      // The worker quarantines a damaged file.
      if (error instanceof FormatRefusal) throw error;
    }
    this.#link.startInBackground();
  }

  /**
   * Stores a batch on disk. If the worker ends meanwhile, the next worker receives the batch again; its id prevents that it is
   * stored twice.
   *
   * @throws {OperatingError} 'outbox-unavailable' (retry) if the disk or the file failed; 'history-worker-lost' (retry) after
   *   disposal, and if several workers ended.
   */
  async append(batch: HistoryBatch): Promise<void> {
    for (let send = 1; ; send += 1) {
      await this.#link.connected();
      try {
        await this.#link.call('append', batch);
        this.#refusal = undefined;
        return;
      } catch (error) {
        this.#refusal = errorMessage(error);
        if (errorCode(error) !== LOST || this.#disposed || send === SENDS_MAX) throw error;
      }
    }
  }

  reportBacklog(backlog: HistoryBacklog): void {
    this.#backlog = backlog;
  }

  /** False while no worker runs. */
  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  /** @throws {OperatingError} 'outbox-unavailable' | 'history-worker-lost' (retry). */
  async read(request: HistoryPageRequest): Promise<HistoryPage> {
    await this.#ready();
    return await this.#link.call('read', request);
  }

  /** @throws {OperatingError} 'outbox-unavailable' | 'history-worker-lost' (retry). */
  async rollup(request: RollupRequest): Promise<Rollup> {
    await this.#ready();
    return await this.#link.call('rollup', request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#link.close();
  }

  /** Waits for a worker that is starting. A part of the agent may read before the file is open. */
  async #ready(): Promise<void> {
    if (this.#link.isConnected) return;
    const connected = new AbortController();
    const waiting = this.#link.connected().then(() => connected.abort());
    await Promise.race([waiting, sleep(this.#deps.clock, READY_MS, connected.signal)]);
  }

  #publish({ health, bytes, notices }: HistoryReport): void {
    const reason = health.reason ?? this.#refusal ?? this.#slowness;
    if (reason === undefined) this.#health.report('ok');
    else this.#degraded(reason);
    for (const notice of notices) this.#deps.log.error({ component: 'history' }, notice);
    this.#metrics.andon_history_bytes.set(bytes);
  }

  get #slowness(): string | undefined {
    return this.#backlog.dropped > 0 ? 'The disk accepts fewer samples than arrive' : undefined;
  }

  #degraded(reason: string): void {
    const { waiting, dropped } = this.#backlog;
    const parts = [waiting > 0 && `${waiting} samples wait in memory`, dropped > 0 && `${dropped} were dropped`];
    this.#health.report('degraded', [reason, ...parts.filter((part) => part !== false)].join('; '));
  }
}
