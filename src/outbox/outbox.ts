import { randomUUID } from 'node:crypto';
import type { HistoryQuery, OutboxStats, RecordStore, Unstored } from '../contracts/record-store.ts';
import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { RecordDraft, RecordKind, StoredRecord } from '../domain/record/record.ts';
import { recordReaderEntry } from '../platform/entries.ts';
import type { Deps } from '../platform/deps.ts';
import { errorCode, OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { AppendQueue } from './records/append-queue.ts';
import type { RecordReaderOptions, RecordReaderProtocol, RecordReaderReport } from './records/record-reader.ts';
import type { OutboxConfig } from './file/outbox-config.ts';
import { outboxMetrics } from './file/outbox-metrics.ts';
import { sizeBudget } from './file/size-budget.ts';
import { LOCAL } from './records/loss-ledger.ts';
import { LossTally } from './loss-tally.ts';
import { StoredAnnotations } from './stored-annotations.ts';
import { OutboxReaders } from './outbox-readers.ts';
import { WorkerLink } from './worker-link.ts';
import type { AppendBatch } from './file/append-batch.ts';
import type {
  AppendOutcome,
  StorageOptions,
  StorageProtocol,
  StorageReport,
  UplinkInterest,
} from './file/storage-protocol.ts';

export type OutboxOptions = {
  readonly agentId: string;
  /** URL of hosts/storage-worker.ts. */
  readonly entry: URL;
  /** `path` is absolute. */
  readonly config: OutboxConfig;
  /** Readers of the outbox at the start, and the kinds of record that are kept for each. */
  readonly uplinks: readonly UplinkInterest[];
  readonly deps: Deps;
};

/**
 * The outbox on the agent's main thread: gathers appends and sends every other request to the storage worker.
 *
 * While the disk fails or no worker runs, appended records wait in memory up to `queueRowsMax` and `queueBytesMax`, other
 * calls fail with 'outbox-unavailable' (retry), and health `outbox` has the reason. A record is never stored twice.
 */
export class Outbox implements RecordStore, AsyncDisposable {
  readonly readers: OutboxReaders;
  readonly annotations: StoredAnnotations;
  readonly #deps: Deps;
  readonly #link: WorkerLink<StorageProtocol, StorageReport>;
  readonly #reader: WorkerLink<RecordReaderProtocol, RecordReaderReport>;
  readonly #queue: AppendQueue;
  readonly #life = randomUUID();
  readonly #tally = new LossTally(this.#life);
  readonly #health: ComponentHealth;
  readonly #metrics;
  /** Losses in the metrics so far. */
  readonly #countedLosses = new Map<string, number>();
  #seenEpochs = 0;
  #disposed: Promise<void> | undefined;

  constructor(options: OutboxOptions) {
    const { agentId, entry, config, uplinks, deps } = options;
    this.#deps = deps;
    this.#metrics = deps.metrics.of(outboxMetrics);
    this.#health = deps.health.component('outbox');
    this.#link = new WorkerLink({
      name: 'storage',
      lostCode: 'outbox-unavailable',
      entry,
      workerData: () => ({ agentId, config, uplinks: this.readers.uplinks, life: this.#life }) satisfies StorageOptions,
      restarts: this.#metrics.andon_outbox_worker_restarts_total,
      onReport: (report) => this.#publish(report),
      onSlow: (reason) => this.#health.report('degraded', reason),
      onDown: (reason) => this.#down(reason),
      deps,
    });
    this.#reader = new WorkerLink({
      name: 'reader',
      lostCode: 'outbox-unavailable',
      entry: recordReaderEntry,
      workerData: () => ({ agentId, path: config.path, bytesMax: config.maxSizeBytes }) satisfies RecordReaderOptions,
      restarts: this.#metrics.andon_outbox_reader_restarts_total,
      onReport: () => undefined,
      // Uplinks and the API report their failed reads.
      onSlow: (reason) => deps.log.warn({ component: 'outbox' }, reason),
      onDown: (reason) => deps.log.error({ component: 'outbox' }, reason),
      deps,
    });
    this.annotations = new StoredAnnotations(this.#link, deps.clock);
    this.readers = new OutboxReaders({ storage: this.#link, reader: this.#reader, uplinks, deps });
    this.#queue = new AppendQueue({
      clock: deps.clock,
      commitIntervalMs: config.commitIntervalMs,
      commitRowsMax: config.commitRowsMax,
      // A commit that fits into a step of the WAL keeps the files within `maxSize`.
      commitBytesMax: Math.min(config.commitBytesMax, sizeBudget(config.maxSizeBytes).walStepBytes),
      queueRowsMax: config.queueRowsMax,
      queueBytesMax: config.queueBytesMax,
      recordBytesMax: config.recordBytesMax,
      rejectsNew: config.onFull === 'reject-new',
      commit: (batch) => this.#commit(batch),
    });
  }

  /**
   * Opens the files. A damaged file is quarantined and does not stop the start.
   * @throws {OperatingError} 'outbox-path-unusable' if the folder cannot be created.
   */
  async start(): Promise<void> {
    await this.#link.start();
    await this.#reader.start();
  }

  async append(drafts: readonly RecordDraft[]): Promise<readonly (string | undefined)[]> {
    try {
      return await this.#queue.push(drafts);
    } catch (error) {
      this.#metrics.andon_outbox_append_failures_total.inc({ code: errorCode(error) });
      throw error;
    }
  }

  lost(losses: readonly Unstored[], reason: string): void {
    this.#tally.add(losses, reason);
  }

  history(query: HistoryQuery): Promise<readonly StoredRecord[]> {
    return this.#reader.call('history', query);
  }

  alarms(): Promise<readonly AlarmTransition[]> {
    return this.#link.call('alarms', undefined);
  }

  stats(): Promise<OutboxStats> {
    return this.#link.call('stats', undefined);
  }

  lastTickMs(): number {
    return this.#link.lastTickMs;
  }

  /** Commits the waiting records and closes the files. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await this.#queue.drain();
    // After the callers of the last refused appends have reported their losses.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#reportLosses();
    const left = this.#tally.report()?.losses;
    if (left !== undefined)
      this.#deps.log.error({ losses: left }, 'Records were lost, and the loss could not be stored.');
    await this.#reader.close();
    await this.#link.close();
  }

  /** Sends the losses of this thread to the ledger. On failure they stay for the next attempt. */
  async #reportLosses(): Promise<void> {
    const report = this.#tally.report();
    if (report === undefined) return;
    try {
      await this.#link.call('lost', { ...report, nowMs: this.#deps.clock.nowMs() });
      this.#tally.confirm(report.number);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  async #commit(batch: AppendBatch): Promise<AppendOutcome> {
    this.#metrics.andon_outbox_queue_rows.set(this.#queue.rows);
    const startedMs = this.#deps.clock.monotonicMs();
    const outcome = await this.#link.call('append', batch);
    this.#metrics.andon_outbox_commit_seconds.labels().observe((this.#deps.clock.monotonicMs() - startedMs) / 1000);
    this.#metrics.andon_outbox_queue_rows.set(this.#queue.rows);
    this.#count(batch, outcome);
    return outcome;
  }

  #count({ kinds }: AppendBatch, { ids }: AppendOutcome): void {
    const stored = new Map<RecordKind, number>();
    for (const [index, kind] of kinds.entries()) {
      if (ids[index] !== undefined) stored.set(kind, (stored.get(kind) ?? 0) + 1);
    }
    let total = 0;
    for (const [kind, count] of stored) {
      this.#metrics.andon_outbox_records_appended_total.inc({ kind }, count);
      total += count;
    }
    // After the callers' promises have settled: a listener is never called before the append returns.
    if (total > 0) setImmediate(() => this.readers.committed(total));
  }

  #publish(report: StorageReport): void {
    void this.#reportLosses();
    void this.readers.sendChange();
    this.#health.report(report.outbox.status, this.#withQueue(report.outbox.reason));
    for (const notice of report.notices) this.#deps.log.error({ component: 'outbox' }, notice);
    this.#metrics.andon_outbox_database_bytes.set(report.bytes);
    this.#metrics.andon_outbox_database_bytes_max.set(report.bytesMax);
    this.#countLosses(report);
    if (report.stored > 0) this.readers.committed(report.stored);
  }

  #withQueue(reason: string | undefined): string | undefined {
    const { rows } = this.#queue;
    return reason === undefined || rows === 0 ? reason : `${reason}; ${rows} records wait in memory`;
  }

  #countLosses({ lost, epochsStarted }: StorageReport): void {
    for (const { uplink, kind, reason, count: total } of lost) {
      const key = `${uplink ?? ''}/${kind}/${reason}`;
      const count = total - (this.#countedLosses.get(key) ?? 0);
      this.#countedLosses.set(key, total);
      if (uplink === undefined) this.#metrics.andon_outbox_records_lost_total.inc({ kind, reason }, count);
      else if (uplink !== LOCAL) this.#metrics.andon_uplink_records_lost_total.inc({ uplink, kind, reason }, count);
    }
    // The worker's total restarts with the worker.
    const epochs = epochsStarted >= this.#seenEpochs ? epochsStarted - this.#seenEpochs : epochsStarted;
    this.#metrics.andon_outbox_epochs_total.inc(epochs);
    this.#seenEpochs = epochsStarted;
  }

  #down(reason: string): void {
    this.#health.report('degraded', this.#withQueue(reason), 'outbox-unavailable');
    this.#seenEpochs = 0;
  }
}
