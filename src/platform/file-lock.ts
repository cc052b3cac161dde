import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { errorCode } from './errors.ts';

/**
 * An exclusive lock between processes, and between holders in one process: SQLite's own, on an empty file.
 *
 * The kernel lets go of it when the process ends, however it ends, so that nothing is ever left behind to clear away.
 * The file itself stays; nothing is ever written to it.
 */
export class FileLock implements Disposable {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /**
   * @param path Of the file, made where it is missing; its folder must be there.
   * @param waitMs Blocks the thread for so long while another has it; 0 where that must not be.
   * @returns undefined where another has it.
   * @throws {Error} The file cannot be made or locked: a full disk, no rights, a file system without locks.
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
