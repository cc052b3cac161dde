import { basename, dirname } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage } from '../../platform/errors.ts';
import { packageVersion } from '../../platform/package-files.ts';
import { databaseFault, quarantine } from '../file/database-file.ts';
import { FormatRefusal } from '../file/database-format.ts';
import { unavailable } from '../file/outbox-errors.ts';
import { lockedBy } from '../file/lock-holder.ts';
import {
  bootId,
  HighWaterFile,
  type HighWaterMark,
  inodeOf,
  judgeContinuity,
  type PreviousEnd,
  previousEnd,
} from '../file/high-water.ts';
import { HistoryIndex } from './history-index.ts';
import { OutboxDatabase } from './outbox-database.ts';
import { RecordLanes } from './record-lanes.ts';
import { RecordSpace } from './record-space.ts';
import { LossCounts } from './loss-counts.ts';
import type { MissingRange } from './loss-ledger.ts';
import { isSalvaged, Salvage, unsalvaged, writeRange, writtenRanges } from './salvage.ts';
import type { StorageOptions, StoreHealth, UplinkInterest } from '../file/storage-protocol.ts';

/** The outbox file while it is open and sound. */
export type OpenOutbox = {
  readonly database: OutboxDatabase;
  readonly lanes: RecordLanes;
  readonly history: HistoryIndex;
  readonly space: RecordSpace;
};

export type OutboxFileOptions = Omit<StorageOptions, 'uplinks'> & {
  readonly uplinks: () => readonly UplinkInterest[];
  /** Returns an epoch name that was never used before and sorts after the older ones. */
  readonly newEpoch: (nowMs: EpochMs) => string;
};

/**
 * Keeps an outbox file open: opens it and proves its continuity, quarantines and salvages a damaged file, and closes
 * and reopens a file whose disk failed.
 */
export class OutboxFile {
  readonly lossCounts: LossCounts;
  readonly #options: OutboxFileOptions;
  readonly #highWater: HighWaterFile;
  readonly #boot = bootId();
  readonly #notices: string[] = [];
  #open: OpenOutbox | undefined;
  #inode = 0;
  /** Last mark of this storage. It is exact, also if its write to the file failed or was lost with the page cache. */
  #mark: HighWaterMark | undefined;
  #isStartRecorded = false;
  #previousEnd: PreviousEnd = 'none';
  /** Time of the last record of the agent before. */
  #lastRecordMs: EpochMs | undefined;
  #salvage: Salvage | undefined;
  #trouble: string | undefined;
  /** Error of the last commit; the file is open and can be read. */
  #commitTrouble: string | undefined;
  #markTrouble: string | undefined;
  #epochsStarted = 0;

  constructor(options: OutboxFileOptions) {
    this.#options = options;
    this.lossCounts = new LossCounts(options.life);
    this.#highWater = new HighWaterFile(`${options.config.path}.high-water`);
  }

  get epochsStarted(): number {
    return this.#epochsStarted;
  }

  get current(): OpenOutbox | undefined {
    return this.#open;
  }

  get health(): StoreHealth {
    const trouble = this.#trouble ?? this.#commitTrouble;
    if (trouble !== undefined) return { status: 'degraded', reason: trouble };
    if (this.#salvage !== undefined)
      return {
        status: 'degraded',
        reason: `The outbox file was damaged and is in quarantine. ${this.#salvage.salvaged} records are salvaged so far`,
      };
    if (this.#markTrouble !== undefined) return { status: 'degraded', reason: this.#markTrouble };
    return { status: 'ok', reason: undefined };
  }

  /** Returns lines for the log, since the last call. */
  takeNotices(): readonly string[] {
    return this.#notices.splice(0);
  }

  /** Opens the file if it is closed. `health` has the error, except a FormatRefusal, which is thrown. */
  ensureOpen(nowMs: EpochMs): void {
    if (this.#open !== undefined) return;
    try {
      this.#open = this.#openSound(nowMs);
      this.#trouble = undefined;
    } catch (error) {
      if (error instanceof FormatRefusal) throw error;
      const isLocked = databaseFault(error) === 'locked';
      this.#trouble = isLocked
        ? lockedBy(this.#options.config.path)
        : `The outbox cannot be opened: ${errorMessage(error)}`;
    }
  }

  /**
   * Runs `work` on the open file. An error of the file or the disk closes or quarantines the file.
   * @throws {OperatingError} 'outbox-unavailable' (retry) if the file or the disk failed. Other errors pass through.
   */
  use<T>(nowMs: EpochMs, work: (outbox: OpenOutbox) => T): T {
    const open = this.#open;
    if (open === undefined) throw unavailable(this.#trouble ?? 'The outbox is not open');
    try {
      const result = work(open);
      this.#trouble = undefined;
      return result;
    } catch (error) {
      throw this.#failed(open, error, nowMs);
    }
  }

  /** Writes the high-water mark. Call it after each commit that gave out sequences, before they are returned. */
  mark(): void {
    if (this.#open === undefined) return;
    this.#commitTrouble = undefined;
    this.#mark = this.#markOf(this.#open.database, false);
    try {
      this.#highWater.write(this.#mark);
      this.#markTrouble = undefined;
    } catch (error) {
      this.#markTrouble = `The high-water file cannot be written, so lost records may go undetected: ${errorMessage(error)}`;
    }
  }

  /** Syncs the mark to the disk; called when idle. */
  sync(): void {
    try {
      this.#highWater.sync();
    } catch (error) {
      this.#markTrouble = `The high-water file cannot be synced: ${errorMessage(error)}`;
    }
  }

  /** Copies a chunk of a quarantined file. @returns True if there is more. */
  salvage(nowMs: EpochMs): boolean {
    const salvage = this.#salvage;
    if (salvage === undefined || this.#open === undefined) return false;
    const more = this.use(nowMs, () => salvage.step(nowMs));
    this.mark();
    if (more) return true;
    this.#notices.push(`Salvaged ${salvage.salvaged} records from the quarantined outbox.`);
    if (salvage.trouble !== undefined) {
      this.#notices.push(`The quarantined outbox could not be marked as salvaged: ${salvage.trouble}`);
      this.#salvage = undefined;
      return false;
    }
    this.#salvage = this.#nextSalvage(this.#open);
    return this.#salvage !== undefined;
  }

  /** @param isComplete False if records or losses are given up. */
  close(isComplete = true): void {
    const open = this.#open;
    if (open === undefined) return;
    const mark = this.#markOf(open.database, isComplete);
    this.#closeQuietly();
    try {
      this.#highWater.begin(mark);
    } catch (error) {
      // The mark of the last commit stays. It proves the same until the machine is switched off.
      this.#notices.push(`The high-water file could not be closed cleanly: ${errorMessage(error)}`);
    } finally {
      this.#highWater.close();
    }
  }

  #openSound(nowMs: EpochMs): OpenOutbox {
    let outbox: OpenOutbox;
    try {
      outbox = this.#openFile();
    } catch (error) {
      if (databaseFault(error) !== 'damaged') throw error;
      this.#toQuarantine(error, nowMs);
      outbox = this.#openFile();
    }
    const { database } = outbox;
    try {
      this.#proveContinuity(database, nowMs);
      this.#salvage?.close();
      this.#salvage = this.#nextSalvage(outbox);
      return outbox;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Prepares every statement, so that a damaged schema is found here. */
  #openFile(): OpenOutbox {
    const { agentId, config } = this.#options;
    const uplinks = this.#options.uplinks();
    const { path, maxSizeBytes: bytesMax } = config;
    const database = new OutboxDatabase({ path, agentId, bytesMax, uplinks, lossCounts: this.lossCounts });
    try {
      const history = new HistoryIndex(database);
      const lanes = new RecordLanes(database);
      // The kinds may differ from those of the last start. The next commit stores them.
      lanes.change(uplinks);
      return { database, lanes, history, space: new RecordSpace(database, config) };
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Resumes after a start, and after a failed commit: called at each slice of upkeep. */
  resume(nowMs: EpochMs): void {
    this.#probeCommit(nowMs);
    if (this.#isStartRecorded) return;
    this.use(nowMs, (outbox) => this.#recordStart(outbox, nowMs));
    this.mark();
  }

  /** Tries a commit, after the last one failed for want of space or for the lock of another program. */
  #probeCommit(nowMs: EpochMs): void {
    if (this.#commitTrouble === undefined) return;
    this.use(nowMs, ({ database }) => database.commit(() => database.statements.setMeta.run('probed', String(nowMs))));
    this.#commitTrouble = undefined;
  }

  /** Stores a record of this start, once: it covers what died with the process before, which only its memory had. */
  #recordStart({ database, space }: OpenOutbox, nowMs: EpochMs): void {
    const { life } = this.#options;
    const { statements, epochs } = database;
    this.#isStartRecorded = statements.getMeta.get('life') === life;
    if (this.#isStartRecorded) return;
    const lastMs = this.#lastRecordMs;
    const body = {
      reason: this.#previousEnd,
      last_record_ms: lastMs === undefined ? null : Math.round(lastMs),
      // The clock may have been set back.
      down_ms: lastMs === undefined ? null : Math.max(0, Math.round(nowMs - lastMs)),
      version: packageVersion,
      epoch: epochs.current,
    };
    const isFirst = this.#previousEnd === 'none';
    if (!isFirst && !space.makeRoom(512, 'loss')) return;
    database.commit(() => {
      statements.setMeta.run('life', life);
      if (isFirst) return;
      const text = JSON.stringify(body);
      database.insert({ kind: 'start', timestampMs: nowMs, body: text, key: null, originalId: null });
    });
    this.#isStartRecorded = true;
  }

  /** Begins a new epoch unless continuity is proven. The epoch and its losses are in the file before the mark has them. */
  #proveContinuity(database: OutboxDatabase, nowMs: EpochMs): void {
    this.#inode = inodeOf(this.#options.config.path);
    const isOwn = this.#mark !== undefined;
    const mark = this.#mark ?? this.#highWater.read();
    const { names: epochs } = database.epochs;
    const found = { epochs, sequence: database.sequence, inode: this.#inode };
    const continuity = judgeContinuity(mark, found, isOwn);
    if (!isOwn) {
      this.#previousEnd = previousEnd(mark, found, this.#boot);
      this.#lastRecordMs = database.statements.newestTimestamp.get() as EpochMs | undefined;
    }
    if (continuity.type === 'unproven') {
      database.commit(() => {
        // A new file does not have the ranges that the file before it had.
        if (epochs.length === 0) database.losses.setMissing(writtenRanges(this.#options.config.path));
        if (continuity.lost !== undefined && mark !== undefined)
          this.#addMissing(database, { epoch: mark.epoch, ...continuity.lost }, nowMs);
        database.epochs.begin(this.#options.newEpoch(nowMs), database.sequence + 1, nowMs);
      });
      if (mark !== undefined || epochs.length > 0) {
        this.#epochsStarted += 1;
        this.#notices.push(`Epoch ${database.epochs.current} begins: ${continuity.why}.`);
      }
    }
    const begun = this.#markOf(database, false);
    this.#highWater.begin(begun);
    this.#mark = begun;
  }

  /** Sequences that a quarantined file may still hold are a loss only after its salvage. */
  #addMissing(database: OutboxDatabase, missing: MissingRange, nowMs: EpochMs): void {
    const file = unsalvaged(this.#options.config.path).at(-1);
    if (file !== undefined) {
      const folder = basename(dirname(file));
      const others = database.losses.missing.filter((range) => range.folder !== folder);
      database.losses.setMissing([...others, { ...missing, folder }]);
      this.#writeRange(file, missing);
      return;
    }
    const { epoch, from, to } = missing;
    const reason = database.epochs.names.includes(epoch) ? 'rows-missing' : 'database-replaced';
    database.losses.missingRows(missing, to - from + 1, reason, nowMs);
  }

  #writeRange(file: string, missing: MissingRange): void {
    try {
      writeRange(file, missing);
    } catch (error) {
      // The outbox has it.
      this.#notices.push(`The range of the quarantined outbox could not be written next to it: ${errorMessage(error)}`);
    }
  }

  #nextSalvage({ database, space }: OpenOutbox): Salvage | undefined {
    // The newest first: it has what was missing when the one before was quarantined.
    const file = unsalvaged(this.#options.config.path).at(-1);
    if (file === undefined) return undefined;
    return new Salvage({ file, agentId: this.#options.agentId, database, space });
  }

  #failed(open: OpenOutbox, error: unknown, nowMs: EpochMs): unknown {
    switch (databaseFault(error)) {
      case 'other':
        return error;
      case 'full':
        this.#commitTrouble = open.space.space.atCap
          ? 'The outbox is full and `outbox.onFull` allows no record to be dropped'
          : 'No space is left on the disk of the outbox';
        return unavailable(this.#commitTrouble, error);
      case 'locked':
        this.#commitTrouble = lockedBy(this.#options.config.path);
        return unavailable(this.#commitTrouble, error);
      case 'io':
        // The state of the connection is unknown: its next commit could return without being on disk.
        this.#trouble = `The disk of the outbox failed: ${errorMessage(error)}`;
        this.#closeQuietly();
        return unavailable(this.#trouble, error);
      case 'damaged':
        this.#closeQuietly();
        this.#quarantineAndReopen(error, nowMs);
        return unavailable(`The outbox was damaged and is in quarantine: ${errorMessage(error)}`, error);
    }
  }

  #quarantineAndReopen(error: unknown, nowMs: EpochMs): void {
    try {
      this.#toQuarantine(error, nowMs);
    } catch (moveError) {
      this.#trouble = `The outbox is damaged and cannot be moved to quarantine: ${errorMessage(moveError)}`;
      return;
    }
    this.ensureOpen(nowMs);
  }

  #toQuarantine(error: unknown, nowMs: EpochMs): void {
    const moved = quarantine(this.#options.config.path, nowMs, isSalvaged);
    this.#notices.push(`The outbox file is damaged (${errorMessage(error)}) and was moved to ${moved}.`);
  }

  #closeQuietly(): void {
    this.#salvage?.close();
    this.#salvage = undefined;
    try {
      this.#open?.database.close();
    } catch (error) {
      this.#notices.push(`Closing the outbox failed: ${errorMessage(error)}`);
    }
    this.#open = undefined;
  }

  #markOf(database: OutboxDatabase, clean: boolean): HighWaterMark {
    const { epochs, sequence, cursors } = database;
    const delivered = cursors.delivered(sequence);
    return { epoch: epochs.present, sequence, delivered, boot: this.#boot, inode: this.#inode, clean };
  }
}
