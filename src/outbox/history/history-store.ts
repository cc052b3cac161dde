import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage } from '../../platform/errors.ts';
import { databaseFault, quarantine } from '../file/database-file.ts';
import { HistoryDatabase } from './history-database.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import { unavailable } from '../file/outbox-errors.ts';
import type { HistoryBatch, HistoryPage, HistoryPageRequest, StoreHealth } from '../file/storage-protocol.ts';

/** Free space on the disk that the history leaves to records and alarms; below it, it only uses its own old space again. */
const DISK_BYTES_SPARE = 64e6;
/** Deletes in a row before one flush. */
const DELETES_MAX = 20;

/** Keeps the history file open, within its size and age; a damaged one goes to quarantine and a new one is begun. */
export class HistoryStore {
  readonly #path: string;
  readonly #config: OutboxConfig;
  readonly #notices: string[] = [];
  #database: HistoryDatabase | undefined;
  #trouble: string | undefined;

  constructor(path: string, config: OutboxConfig) {
    this.#path = path;
    this.#config = config;
  }

  get health(): StoreHealth {
    if (this.#trouble !== undefined) return { status: 'degraded', reason: this.#trouble };
    const damaged = this.#database?.damaged ?? 0;
    if (damaged === 0) return { status: 'ok', reason: '' };
    return {
      status: 'degraded',
      reason: `${damaged} chunks of the sample history failed their checksum and are left out`,
    };
  }

  get bytes(): number {
    return this.#database?.space.bytesUsed ?? 0;
  }

  takeNotices(): readonly string[] {
    return this.#notices.splice(0);
  }

  /** Never throws: what is wrong is in `health`. */
  ensureOpen(nowMs: EpochMs): void {
    if (this.#database !== undefined) return;
    try {
      try {
        this.#database = new HistoryDatabase(this.#path, this.#config.historyMaxSizeBytes);
      } catch (error) {
        if (databaseFault(error) !== 'damaged') throw error;
        this.#toQuarantine(error, nowMs);
        this.#database = new HistoryDatabase(this.#path, this.#config.historyMaxSizeBytes);
      }
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = `The sample history cannot be opened: ${errorMessage(error)}`;
    }
  }

  /** @throws {OperatingError} 'outbox-unavailable': these samples are not kept. */
  append(batch: HistoryBatch, nowMs: EpochMs): undefined {
    this.#use(nowMs, (database) => {
      // A chunk is at most as large as its samples, and rarely a fifth of that.
      const bytes = 16 * batch.timesMs.length + 4096 * (batch.tags.length + 8);
      this.#makeRoom(database, bytes);
      database.append(batch);
    });
  }

  read(request: HistoryPageRequest, nowMs: EpochMs): HistoryPage {
    return this.#use(nowMs, (database) => database.page(request));
  }

  /** Joins and expires a little. @returns True where there is more to do. */
  upkeep(nowMs: EpochMs): boolean {
    if (this.#database === undefined) return false;
    try {
      return this.#use(nowMs, (database) => {
        const more = database.join();
        return database.expire(nowMs - this.#config.historyMs) || more;
      });
    } catch (error) {
      // Its health says so; samples are the least of what is stored here.
      if (databaseFault(error) === 'other' && this.#trouble === undefined) throw error;
      return false;
    }
  }

  close(): void {
    const database = this.#database;
    this.#database = undefined;
    database?.close();
  }

  #makeRoom(database: HistoryDatabase, bytes: number): void {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    const diskShort = bavail * bsize < DISK_BYTES_SPARE + bytes;
    for (let deletes = 0; deletes < DELETES_MAX; deletes += 1) {
      const { bytesUsed, bytesMax, bytesInFile } = database.space;
      const room = (diskShort ? bytesInFile : bytesMax) - bytesUsed;
      if (room >= bytes) return;
      if (database.deleteOldest() === 0) break;
    }
    if (diskShort)
      throw unavailable('The disk is nearly full: the sample history leaves what is left to records and alarms');
  }

  #use<T>(nowMs: EpochMs, work: (database: HistoryDatabase) => T): T {
    if (this.#database === undefined) throw unavailable(this.#trouble ?? 'The sample history is not open');
    try {
      const result = work(this.#database);
      this.#trouble = undefined;
      return result;
    } catch (error) {
      throw this.#failed(error, nowMs);
    }
  }

  #failed(error: unknown, nowMs: EpochMs): unknown {
    const fault = databaseFault(error);
    if (fault === 'other') {
      this.#trouble = errorMessage(error);
      return error;
    }
    this.#trouble = `The sample history failed: ${errorMessage(error)}`;
    const failure = unavailable(this.#trouble, error);
    if (fault === 'full') return failure;
    this.close();
    if (fault === 'damaged') {
      this.#toQuarantine(error, nowMs);
      this.ensureOpen(nowMs);
    }
    return failure;
  }

  #toQuarantine(error: unknown, nowMs: EpochMs): void {
    const place = quarantine(this.#path, nowMs);
    this.#notices.push(`The sample history is damaged (${errorMessage(error)}) and was moved to ${place}.`);
  }
}
