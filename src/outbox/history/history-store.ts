import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { DatabaseKeeper } from '../file/database-keeper.ts';
import { HistoryDatabase } from './history-database.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import { unavailable } from '../file/outbox-errors.ts';
import type { HistoryBatch, HistoryPage, HistoryPageRequest, StoreHealth } from '../file/storage-protocol.ts';

/** Free disk space that the history leaves to records and alarms. Below it, the history only reuses its own space. */
const DISK_BYTES_SPARE = 64e6;
/** Deletes in a row before one flush. */
const DELETES_MAX = 20;

/**
 * The sample history on disk, within its size and age. Samples matter less than records and alarms: what fails here is
 * reported in `health` and in the caller's error, and nothing waits for it.
 */
export class HistoryStore {
  readonly #path: string;
  readonly #config: OutboxConfig;
  readonly #keeper: DatabaseKeeper<HistoryDatabase>;

  constructor(path: string, config: OutboxConfig) {
    this.#path = path;
    this.#config = config;
    const open = () => new HistoryDatabase(path, config.historyMaxSizeBytes);
    this.#keeper = new DatabaseKeeper({ name: 'sample history', path, open });
  }

  get health(): StoreHealth {
    const { trouble, database } = this.#keeper;
    if (trouble !== undefined) return { status: 'degraded', reason: trouble };
    const damaged = database?.damaged ?? 0;
    if (damaged === 0) return { status: 'ok', reason: undefined };
    return {
      status: 'degraded',
      reason: `${damaged} chunks of the sample history failed their checksum and are omitted`,
    };
  }

  get bytes(): number {
    return this.#keeper.database?.space.bytesUsed ?? 0;
  }

  takeNotices(): readonly string[] {
    return this.#keeper.takeNotices();
  }

  /** `health` has the error, except a FormatRefusal, which is thrown. */
  ensureOpen(nowMs: EpochMs): void {
    this.#keeper.ensureOpen(nowMs);
  }

  /** @throws {OperatingError} 'outbox-unavailable': the samples are lost. */
  append(batch: HistoryBatch, nowMs: EpochMs): undefined {
    this.#keeper.use(nowMs, (database) => {
      // Upper bound of the chunks' size; most are a fifth of it.
      const bytes = 16 * batch.timesMs.length + 4096 * (batch.tags.length + 8);
      this.#makeRoom(database, bytes);
      database.append(batch);
    });
  }

  read(request: HistoryPageRequest, nowMs: EpochMs): HistoryPage {
    return this.#keeper.use(nowMs, (database) => database.page(request));
  }

  /** Joins and expires a few chunks. @returns True if there is more to do. */
  upkeep(nowMs: EpochMs): boolean {
    if (this.#keeper.database === undefined) return false;
    try {
      return this.#keeper.use(nowMs, (database) => {
        const more = database.join();
        return database.expire(nowMs - this.#config.historyMs) || more;
      });
    } catch {
      // `health` has the error.
      return false;
    }
  }

  close(): void {
    this.#keeper.close();
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
      throw unavailable('The disk is nearly full. The sample history leaves the last 64 MB to records and alarms');
  }
}
