import { dirname, join } from 'node:path';
import type { OutboxStats } from '../contracts/record-store.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { OperatingError } from '../platform/errors.ts';
import type { RpcHandlers } from '../platform/rpc.ts';
import { AnnotationStore } from './annotations/annotation-store.ts';
import { AlarmStore } from './alarms/alarm-store.ts';
import { alarmKey, storedKey } from './alarms/alarm-database.ts';
import { makeFolderFor, truncateWal } from './file/database-file.ts';
import { inodeOf } from './file/high-water.ts';
import { GrowthRate } from './file/growth-rate.ts';
import { unavailable } from './file/outbox-errors.ts';
import { DropHealth } from './records/drop-health.ts';
import { storeLossRecords } from './records/loss-records.ts';
import { OutboxFile, type OutboxFileOptions } from './records/outbox-file.ts';
import type { OutboxRow } from './records/outbox-schema.ts';
import { rewind } from './records/outbox-rewind.ts';
import { outboxStatsOf } from './records/outbox-stats.ts';
import { appendBatch } from './record-appender.ts';
import { ROW_BYTES } from './records/record-space.ts';
import { type AppendBatch, withoutAlarms } from './file/append-batch.ts';
import type {
  AppendOutcome,
  ClaimRequest,
  RecordRun,
  SequenceSpans,
  RefusalReport,
  StorageOptions,
  StorageProtocol,
  StorageReport,
  StoreHealth,
  UplinkInterest,
} from './file/storage-protocol.ts';

/** Interval of loss records, so that these do not fill a full outbox. */
const LOSS_REPORT_MS = 10_000;
/** Interval at which an idle outbox checkpoints its WAL and syncs its mark. */
const IDLE_SYNC_MS = 30_000;
/** Moved cursors are on disk within this time, with a commit or alone. */
const CURSOR_SAVE_MS = 250;

/**
 * The work of the storage worker: the outbox and the alarms, each in its own file of one folder.
 * Synchronous and without timers: the main thread requests each slice of upkeep.
 */
export class Storage {
  readonly #options: StorageOptions;
  readonly #outbox: OutboxFile;
  readonly #alarms: AlarmStore;
  readonly #annotations: AnnotationStore;
  readonly #rate = new GrowthRate();
  readonly #drops = new DropHealth();
  #uplinks: readonly UplinkInterest[];
  #bytesSinceUpkeep = 0;
  /** Number of the next batch; undefined before the first. */
  #nextBatch: number | undefined;
  /** True if the last batch was refused: if the agent stops now, its records are lost. */
  #owesRecords = false;
  /** True if the last report of losses was refused. */
  #owesLosses = false;
  #nowMs: EpochMs = 0;
  #lossReportedMs = -Infinity;
  #idleSyncMs = 0;
  #cursorsSavedMs = 0;

  constructor(options: StorageOptions & Pick<OutboxFileOptions, 'newEpoch'>) {
    this.#options = options;
    this.#uplinks = options.uplinks;
    const { path } = options.config;
    this.#outbox = new OutboxFile({ ...options, uplinks: () => this.#uplinks });
    this.#alarms = new AlarmStore(join(dirname(path), 'alarms.db'));
    this.#annotations = new AnnotationStore(join(dirname(path), 'annotations.db'));
  }

  handlers(): RpcHandlers<StorageProtocol> {
    return {
      open: ({ nowMs }) => this.#openAll(nowMs),
      append: (batch) => this.#append(batch),
      claim: ({ nowMs, ...request }) => this.#claim(request, nowMs),
      damaged: ({ sequences }) => this.#removeDamaged(sequences),
      lost: (report) => this.#lost(report),
      uplinks: ({ uplinks, nowMs }) => this.#changeUplinks(uplinks, nowMs),
      acknowledge: ({ nowMs, ...run }) => this.#acknowledge(run, nowMs),
      setAside: ({ sequences, reason, nowMs, ...run }) => this.#setAside(run, sequences, reason, nowMs),
      rewind: ({ uplink, from, nowMs }) => this.#outbox.use(nowMs, ({ database }) => rewind(database, uplink, from)),
      annotate: ({ draft, actor, nowMs }) => this.#annotations.add(draft, actor, nowMs),
      removeAnnotation: ({ id, actor, nowMs }) => this.#annotations.remove(id, actor, nowMs),
      annotations: ({ nowMs, ...query }) => this.#annotations.find(query, nowMs),
      alarms: () => this.#alarms.alarms(this.#nowMs),
      stats: () => this.#stats(),
      upkeep: ({ nowMs, idle }) => this.#upkeep(nowMs, idle),
      close: () => this.#close(),
    };
  }

  /** @throws {OperatingError} 'outbox-path-unusable'. A damaged file does not throw. */
  #openAll(nowMs: EpochMs): StorageReport {
    this.#nowMs = nowMs;
    makeFolderFor(this.#options.config.path);
    this.#alarms.ensureOpen(nowMs);
    this.#outbox.ensureOpen(nowMs);
    try {
      this.#outbox.resume(nowMs);
    } catch (error) {
      // The file's health has the error. The upkeep tries again.
      if (!(error instanceof OperatingError)) throw error;
    }
    return this.#report(0, true);
  }

  /** Refuses a batch while the one before it is not stored, so that records keep their order. */
  #append(batch: AppendBatch): AppendOutcome {
    this.#owesRecords = true;
    if (batch.number > (this.#nextBatch ?? batch.number)) throw unavailable('An earlier batch waits for the disk');
    this.#nextBatch = batch.number;
    const outcome = this.#appendNow(batch);
    this.#nextBatch = batch.number + 1;
    this.#owesRecords = false;
    return outcome;
  }

  #appendNow(batch: AppendBatch): AppendOutcome {
    const nowMs = this.#nowMs;
    const alarms = batch.alarms.map(({ index, transition }) => ({ transition, body: batch.bodies[index] ?? '{}' }));
    try {
      if (alarms.length > 0) this.#alarms.store(alarms, nowMs);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return this.#appendWithoutAlarms(batch, error.message);
    }
    const { ids, bytes } = this.#outbox.use(nowMs, (outbox) =>
      appendBatch(outbox, batch, this.#options.config.onFull, nowMs),
    );
    this.#outbox.mark();
    this.#bytesSinceUpkeep += bytes;
    this.#cursorsSavedMs = nowMs;
    this.#alarms.clear(
      batch.alarms.filter(({ index }) => ids[index] !== undefined).map(({ transition }) => storedKey(transition)),
    );
    return { ids };
  }

  /** Stores the other records of a batch whose alarms cannot be stored. */
  #appendWithoutAlarms(batch: AppendBatch, refusal: string): AppendOutcome {
    const refused = new Set(batch.alarms.map(({ index }) => index));
    const stored = this.#appendNow(withoutAlarms(batch)).ids.values();
    return { ids: batch.kinds.map((_, index) => (refused.has(index) ? undefined : stored.next().value)), refusal };
  }

  /** Records losses of the main thread, each report once. */
  #lost({ life, number, losses, nowMs }: RefusalReport): undefined {
    const report = `${life}/${number}`;
    this.#owesLosses = true;
    this.#outbox.use(nowMs, ({ database }) => {
      const { statements } = database;
      if (statements.getMeta.get('refusals') === report) return;
      database.commit(() => {
        database.losses.refused(losses);
        statements.setMeta.run('refusals', report);
      });
    });
    this.#owesLosses = false;
  }

  /** If the commit fails, the file stays as it is, and the caller sends the change again. A file that opens later has it. */
  #changeUplinks(uplinks: readonly UplinkInterest[], nowMs: EpochMs): undefined {
    this.#nowMs = nowMs;
    this.#uplinks = uplinks;
    this.#outbox.use(nowMs, ({ database, lanes }) => database.commit(() => lanes.change(uplinks)));
  }

  #claim(request: ClaimRequest, nowMs: EpochMs): SequenceSpans {
    this.#nowMs = nowMs;
    const spans = this.#outbox.use(nowMs, ({ lanes }) => lanes.claim(request, nowMs));
    return { file: inodeOf(this.#options.config.path), spans };
  }

  #removeDamaged(sequences: readonly number[]): undefined {
    this.#outbox.use(this.#nowMs, ({ lanes }) => {
      for (const sequence of sequences) lanes.removeDamaged(sequence);
    });
  }

  #acknowledge(run: RecordRun, nowMs: EpochMs): undefined {
    this.#nowMs = nowMs;
    this.#outbox.use(nowMs, ({ lanes }) => void lanes.acknowledge(run));
    if (!isPassed(this.#cursorsSavedMs, CURSOR_SAVE_MS, nowMs)) return;
    try {
      this.#saveCursors(nowMs);
    } catch (error) {
      // The cursor has moved in memory. The next commit or upkeep saves it.
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  #setAside(run: RecordRun, sequences: readonly number[], reason: string, nowMs: EpochMs): undefined {
    this.#nowMs = nowMs;
    this.#outbox.use(nowMs, ({ database, lanes, space }) => {
      database.commit(() => {
        if (!lanes.acknowledge(run)) return;
        for (const sequence of sequences) {
          const row = database.statements.bySequence.get(sequence) as OutboxRow | undefined;
          const record = row === undefined ? undefined : database.rows.verified(row);
          if (record === undefined) continue;
          const { id, kind, watch, timestampMs, body } = record;
          database.statements.addDeadLetter.run(run.uplink, reason, nowMs, id, kind, watch, timestampMs, body);
        }
        space.trimDeadLetters();
      });
    });
  }

  #stats(): OutboxStats {
    return this.#outbox.use(this.#nowMs, (outbox) =>
      outboxStatsOf(outbox, (bytesFree) => this.#rate.hoursLeft(bytesFree)),
    );
  }

  /** Runs a slice of upkeep: at most a few tens of milliseconds, which an append may have to wait. */
  #upkeep(nowMs: EpochMs, idle: boolean): StorageReport {
    this.#nowMs = nowMs;
    this.#alarms.ensureOpen(nowMs);
    this.#outbox.ensureOpen(nowMs);
    this.#annotations.probe(nowMs);
    this.#rate.add(this.#bytesSinceUpkeep, nowMs);
    this.#bytesSinceUpkeep = 0;
    let stored = 0;
    let more = false;
    try {
      this.#outbox.resume(nowMs);
      stored += this.#storePendingAlarms(nowMs);
      stored += this.#reportLosses(nowMs);
      more = this.#outbox.salvage(nowMs);
      more = this.#outbox.use(nowMs, ({ space }) => space.expire(nowMs)) || more;
      more = this.#outbox.use(nowMs, ({ history, database }) => history.indexNext(database)) || more;
      this.#saveCursors(nowMs);
      if (idle && isPassed(this.#idleSyncMs, IDLE_SYNC_MS, nowMs)) this.#syncWhenIdle(nowMs);
    } catch (error) {
      // The file's health has the error. The next slice tries again.
      if (!(error instanceof OperatingError)) throw error;
    }
    return this.#report(stored, more);
  }

  /** Stores alarm records that are missing from the outbox: the process ended before, or the outbox had failed. */
  #storePendingAlarms(nowMs: EpochMs): number {
    const pending = this.#alarms.pending(nowMs);
    if (pending.length === 0) return 0;
    const stored = this.#outbox.use(nowMs, ({ database, space }) => {
      const bytes = pending.reduce((total, { body }) => total + Buffer.byteLength(body) + ROW_BYTES, 0);
      if (!space.makeRoom(bytes, 'alarm')) return undefined;
      return database.commit(() => {
        const missing = pending.filter((alarm) => database.statements.byKey.get(alarmKey(alarm)) === undefined);
        for (const { watch, number, timestampMs, body } of missing)
          database.insert({
            kind: 'alarm',
            watch,
            timestampMs,
            body,
            key: alarmKey({ watch, number }),
            originalId: null,
          });
        return missing.length;
      });
    });
    if (stored === undefined) return 0;
    this.#outbox.mark();
    this.#alarms.clear(pending);
    this.#alarms.settle(nowMs);
    return stored;
  }

  #reportLosses(nowMs: EpochMs): number {
    if (!isPassed(this.#lossReportedMs, LOSS_REPORT_MS, nowMs)) return 0;
    const stored = this.#outbox.use(nowMs, (outbox) => storeLossRecords(outbox, nowMs));
    if (stored === 0) return 0;
    this.#lossReportedMs = nowMs;
    this.#outbox.mark();
    return stored;
  }

  #saveCursors(nowMs: EpochMs): void {
    this.#cursorsSavedMs = nowMs;
    this.#outbox.use(nowMs, ({ database }) => {
      if (database.cursors.hasUnsaved) database.commit(() => undefined);
    });
  }

  #syncWhenIdle(nowMs: EpochMs): void {
    this.#idleSyncMs = nowMs;
    this.#outbox.sync();
    this.#outbox.use(nowMs, ({ database }) => truncateWal(database.sqlite));
  }

  #report(stored: number, more: boolean): StorageReport {
    const open = this.#outbox.current;
    const nowMs = this.#nowMs;
    const { lossCounts } = this.#outbox;
    this.#drops.add(lossCounts.take(), nowMs);
    const space = open?.space.space;
    const notices = [this.#outbox, this.#alarms, this.#annotations].flatMap((store) => store.takeNotices());
    const stores = worse(worse(this.#outbox.health, this.#alarms.health), this.#annotations.health);
    return {
      outbox: worse(stores, this.#drops.health(nowMs)),
      epoch: open?.database.epochs.current,
      epochsStarted: this.#outbox.epochsStarted,
      bytes: space?.bytesUsed ?? 0,
      bytesMax: space?.bytesMax ?? 0,
      lost: lossCounts.totals,
      notices,
      stored,
      more,
    };
  }

  #close(): undefined {
    try {
      this.#saveCursors(this.#nowMs);
      this.#outbox.use(this.#nowMs, ({ database }) => truncateWal(database.sqlite));
    } catch (error) {
      // A failing disk must not prevent the agent from stopping. Every acknowledged record is in the file.
      if (!(error instanceof OperatingError)) throw error;
    } finally {
      // The next start is then not one after a clean stop, after which nothing is missing.
      this.#outbox.close(!this.#owesRecords && !this.#owesLosses);
      this.#alarms.close();
      this.#annotations.close();
    }
  }
}

/** True after an interval, or if the clock was set back. */
function isPassed(sinceMs: EpochMs, intervalMs: number, nowMs: EpochMs): boolean {
  return Math.abs(nowMs - sinceMs) >= intervalMs;
}

function worse(outbox: StoreHealth, alarms: StoreHealth): StoreHealth {
  return outbox.status === 'ok' ? alarms : outbox;
}
