import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { type Clock, sleep } from './clock.ts';
import { errorCode } from './errors.ts';

const POLL_INTERVAL_MS = 20;

/**
 * Exclusive lock between processes, and between owners in one process. Uses SQLite's lock on an empty file.
 *
 * The kernel releases it when the process ends for any reason, so a stale lock cannot exist. The file stays and is never
 * written to.
 */
export class FileLock implements Disposable {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /**
   * @param path Path of the file. It is created if missing; its folder must exist.
   * @param waitMs Longest time that the call blocks the thread while another owner holds the lock; 0 does not block.
   * @returns undefined if another owner holds the lock.
   * @throws {Error} The file cannot be created or locked: full disk, missing permission, file system without locks.
   */
  static take(path: string, waitMs: number): FileLock | undefined {
    let database: Database.Database | undefined;
    try {
      database = new Database(path, { timeout: waitMs });
      database.exec('BEGIN EXCLUSIVE');
      return new FileLock(database);
    } catch (error) {
      database?.close();
      if (errorCode(error) === 'SQLITE_BUSY') return undefined;
      throw error;
    }
  }

  /** Takes the lock as `take` does. Waits for it up to `waitMs` without blocking the thread. */
  static async wait(path: string, waitMs: number, clock: Clock): Promise<FileLock | undefined> {
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const lock = FileLock.take(path, 0);
      if (lock !== undefined || clock.monotonicMs() > endMs) return lock;
      await sleep(clock, POLL_INTERVAL_MS);
    }
  }

  /**
   * Reports whether the lock is held. A missing file is not created: its owner would be the wrong user.
   *
   * @throws {Error} The file cannot be locked, so the answer is unknown.
   */
  static isHeld(path: string): boolean {
    if (!existsSync(path)) return false;
    using lock = FileLock.take(path, 0);
    return lock === undefined;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
