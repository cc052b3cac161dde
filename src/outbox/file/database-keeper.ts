import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage } from '../../platform/errors.ts';
import { databaseFault, quarantine } from './database-file.ts';
import { FormatRefusal } from './database-format.ts';
import { lockedBy } from './lock-holder.ts';
import { unavailable } from './outbox-errors.ts';

export type DatabaseKeeperOptions<D> = {
  /** Name in messages, such as 'alarm database'. */
  readonly name: string;
  readonly path: string;
  /** Opens the file, or creates it. */
  readonly open: () => D;
};

/** Keeps a database file open. A damaged file is quarantined and replaced; a file whose disk failed is closed and reopened. */
export class DatabaseKeeper<D extends { close(): void }> {
  readonly #options: DatabaseKeeperOptions<D>;
  readonly #notices: string[] = [];
  #database: D | undefined;
  #trouble: string | undefined;
  #quarantined: string | undefined;

  constructor(options: DatabaseKeeperOptions<D>) {
    this.#options = options;
  }

  /** Undefined while the file is closed. */
  get database(): D | undefined {
    return this.#database;
  }

  /** Error of the last call; undefined after a call that succeeded. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Path of the last damaged file. */
  get quarantined(): string | undefined {
    return this.#quarantined;
  }

  /** Returns lines for the log, since the last call. */
  takeNotices(): readonly string[] {
    return this.#notices.splice(0);
  }

  /** Opens the file if it is closed. `trouble` has the error, except a FormatRefusal, which is thrown. */
  ensureOpen(nowMs: EpochMs): void {
    if (this.#database !== undefined) return;
    const { name, open } = this.#options;
    try {
      try {
        this.#database = open();
      } catch (error) {
        if (databaseFault(error) !== 'damaged') throw error;
        this.#quarantine(error, nowMs);
        this.#database = open();
      }
      this.#trouble = undefined;
    } catch (error) {
      if (error instanceof FormatRefusal) throw error;
      this.#trouble = `The ${name} cannot be opened: ${errorMessage(error)}`;
    }
  }

  /** @throws {OperatingError} 'outbox-unavailable' (retry) if the file or the disk failed. Other errors pass through. */
  use<T>(nowMs: EpochMs, work: (database: D) => T): T {
    const result = this.read(nowMs, work);
    this.#trouble = undefined;
    return result;
  }

  /** Like `use`, for work that does not write: its success does not end the trouble of a full or locked file. */
  read<T>(nowMs: EpochMs, work: (database: D) => T): T {
    if (this.#database === undefined) throw unavailable(this.#trouble ?? `The ${this.#options.name} is not open`);
    try {
      return work(this.#database);
    } catch (error) {
      throw this.#failed(error, nowMs);
    }
  }

  close(): void {
    const database = this.#database;
    this.#database = undefined;
    database?.close();
  }

  #failed(error: unknown, nowMs: EpochMs): unknown {
    const fault = databaseFault(error);
    if (fault === 'other') {
      this.#trouble = errorMessage(error);
      return error;
    }
    this.#trouble =
      fault === 'locked' ? lockedBy(this.#options.path) : `The ${this.#options.name} failed: ${errorMessage(error)}`;
    const failure = unavailable(this.#trouble, error);
    if (fault === 'full' || fault === 'locked') return failure;
    this.close();
    if (fault === 'damaged') {
      this.#quarantine(error, nowMs);
      this.ensureOpen(nowMs);
    }
    return failure;
  }

  #quarantine(error: unknown, nowMs: EpochMs): void {
    const { name, path } = this.#options;
    this.#quarantined = quarantine(path, nowMs);
    this.#notices.push(`The ${name} is damaged (${errorMessage(error)}) and was moved to ${this.#quarantined}.`);
  }
}
