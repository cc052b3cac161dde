import { statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RpcHandlers } from '../../platform/rpc.ts';
import { OperatingError } from '../../platform/errors.ts';
import { databaseFault, makeFolderFor } from '../file/database-file.ts';
import { DatabaseKeeper } from '../file/database-keeper.ts';
import { HistoryDatabase } from './history-database.ts';
import type { OutboxConfig } from '../file/outbox-config.ts';
import { unavailable } from '../file/outbox-errors.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';
import type { HistoryBatch, HistoryProtocol, HistoryReport } from './history-protocol.ts';

/** Free disk space that the history leaves to records and alarms. Below it, the history only reuses its own space. */
const DISK_BYTES_SPARE = 64e6;
/** Deletes in a row before one flush. */
const DELETES_MAX = 20;

/**
 * The work of the history worker: the sample history on disk, within its size and age. Synchronous and without timers: the
 * main thread requests each slice of upkeep. A failure is reported in the
 * health and in the caller's error, and the caller sends the samples again.
 */
export class HistoryStore {
  readonly #path: string;
  readonly #config: OutboxConfig;
  readonly #keeper: DatabaseKeeper<HistoryDatabase>;
  #nowMs: EpochMs = 0;

  constructor(config: OutboxConfig) {
    this.#path = historyPath(config);
    this.#config = config;
    const open = () => new HistoryDatabase(this.#path, config.historyMaxSizeBytes);
    this.#keeper = new DatabaseKeeper({ name: 'sample history', path: this.#path, open });
  }

  handlers(): RpcHandlers<HistoryProtocol> {
    return {
      open: ({ nowMs }) => {
        makeFolderFor(this.#path);
        this.#ensureOpen(nowMs);
        return this.#report(true);
      },
      append: (batch) => this.#append(batch),
      read: (request) => this.#keeper.read(this.#nowMs, (database) => database.page(request)),
      rollup: (request) => this.#keeper.read(this.#nowMs, (database) => database.rollup(request)),
      upkeep: ({ nowMs }) => {
        this.#ensureOpen(nowMs);
        return this.#report(this.#upkeep());
      },
      close: () => {
        this.#keeper.close();
      },
    };
  }

  #ensureOpen(nowMs: EpochMs): void {
    this.#nowMs = nowMs;
    this.#keeper.ensureOpen(nowMs);
  }

  /** @throws {OperatingError} 'outbox-unavailable' (retry); 'history-full' (reject) if the batch never fits. */
  #append(batch: HistoryBatch): undefined {
    this.#keeper.use(this.#nowMs, (database) => {
      // Upper bound of the chunks' size; most are a fifth of it.
      const bytes = 16 * batch.timesMs.length + 4096 * (batch.tags.length + 8);
      const isRoom = this.#makeRoom(database, bytes);
      try {
        database.append(batch);
      } catch (error) {
        if (databaseFault(error) !== 'full') throw error;
        if (!isRoom) throw neverFits(batch, this.#config.historyMaxSizeBytes);
        // The estimate was too low: the next attempt has more room.
        if (database.space.atCap) database.deleteOldest();
        throw error;
      }
    });
  }

  /** Joins, packs and expires a few chunks and rollups. @returns True if there is more to do. */
  #upkeep(): boolean {
    if (this.#keeper.database === undefined) return false;
    try {
      return this.#keeper.use(this.#nowMs, (database) => {
        const nowMs = this.#nowMs;
        const more = [
          database.join(),
          database.expire(nowMs - this.#config.historyMs),
          database.keepRollups(nowMs, nowMs - this.#config.historyRollupsMs),
        ];
        return more.includes(true);
      });
    } catch {
      // The health has the error.
      return false;
    }
  }

  #report(more: boolean): HistoryReport {
    return {
      health: this.#health,
      bytes: this.#keeper.database?.space.bytesUsed ?? 0,
      notices: this.#keeper.takeNotices(),
      more,
    };
  }

  get #health(): StoreHealth {
    const { trouble, database, quarantined } = this.#keeper;
    const damaged = database?.damaged ?? 0;
    const reasons = [
      trouble,
      quarantined !== undefined &&
        `The sample history was damaged and was moved to ${quarantined}. A new one was started`,
      damaged > 0 && `${damaged} chunks or rollups of the sample history failed their checksum and are omitted`,
    ].filter((reason) => typeof reason === 'string');
    return reasons.length === 0
      ? { status: 'ok', reason: undefined }
      : { status: 'degraded', reason: reasons.join('. ') };
  }

  /** @returns False if the batch is larger than what the file may have. */
  #makeRoom(database: HistoryDatabase, bytes: number): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    const diskShort = bavail * bsize < DISK_BYTES_SPARE + bytes;
    for (let deletes = 0; deletes < DELETES_MAX; deletes += 1) {
      const { bytesUsed, bytesMax, bytesInFile } = database.space;
      const room = (diskShort ? bytesInFile : bytesMax) - bytesUsed;
      if (room >= bytes) return true;
      if (!database.deleteOldest()) break;
    }
    if (diskShort)
      throw unavailable('The disk is nearly full. The sample history leaves the last 64 MB to records and alarms');
    return false;
  }
}

function neverFits({ timesMs }: HistoryBatch, bytesMax: number): OperatingError {
  const text = `${timesMs.length} samples do not fit into outbox.historyMaxSize, which is ${bytesMax} bytes`;
  return new OperatingError('history-full', 'reject', text);
}

/** Returns the path of the history, which is in the folder of the outbox. */
export function historyPath({ path }: OutboxConfig): string {
  return join(dirname(path), 'history.db');
}
