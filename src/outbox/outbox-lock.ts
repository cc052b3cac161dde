import Database from 'better-sqlite3';
import { OperatingError } from '../platform/errors.ts';
import type { RpcHandlers } from '../platform/rpc.ts';
import type { SqliteDatabase } from './database-file.ts';
import { makeFolderFor } from './database-file.ts';
import type { StorageProtocol } from './storage-protocol.ts';

/** How long one that is just stopping may take to let go. */
const WAIT_MS = 2_000;

/**
 * Keeps a second agent off an outbox: two that write one outbox give out the same sequences, each sees the other's
 * rows as damage, and puts a sound file into quarantine.
 *
 * It is SQLite's own lock on an empty file beside the outbox, `<outbox>.lock`. The kernel lets go of it when the
 * process ends, however it ends, so that nothing is ever left behind to clear away. Readers do not need it.
 */
export class OutboxLock {
  readonly #path: string;
  #database: SqliteDatabase | undefined;

  /** @param path Of the outbox. */
  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {OperatingError} 'outbox-in-use' where another has it; 'outbox-path-unusable'. */
  take(): void {
    if (this.#database !== undefined) return;
    makeFolderFor(this.#path);
    let database: SqliteDatabase | undefined;
    try {
      database = new Database(`${this.#path}.lock`, { timeout: WAIT_MS });
      database.exec('BEGIN EXCLUSIVE');
      this.#database = database;
    } catch (error) {
      database?.close();
      // A file system without locks, or a full disk, is no reason to watch nothing.
      if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_BUSY') return;
      throw new OperatingError('outbox-in-use', 'retry', `Another agent has the outbox ${this.#path}`, {
        cause: error,
      });
    }
  }

  release(): void {
    this.#database?.close();
    this.#database = undefined;
  }
}

/** The same handlers, on files that nobody else writes from `open` to `close`. */
export function behindLock(lock: OutboxLock, handlers: RpcHandlers<StorageProtocol>): RpcHandlers<StorageProtocol> {
  return {
    ...handlers,
    open: (params) => {
      lock.take();
      return handlers.open(params);
    },
    close: async (params) => {
      try {
        return await handlers.close(params);
      } finally {
        lock.release();
      }
    },
  };
}
