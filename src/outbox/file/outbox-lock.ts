import { OperatingError } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';
import type { RpcHandlers } from '../../platform/rpc.ts';
import { makeFolderFor } from './database-file.ts';
import type { StorageProtocol } from './storage-protocol.ts';

/** How long one that is just stopping may take to let go. */
const WAIT_MS = 2_000;

/**
 * Keeps a second agent off an outbox: two that write one outbox give out the same sequences, each sees the other's
 * rows as damage, and puts a sound file into quarantine.
 *
 * The lock is on an empty file beside the outbox, `<outbox>.lock`. Readers do not need it.
 */
export class OutboxLock {
  readonly #path: string;
  #lock: FileLock | undefined;

  /** @param path Of the outbox. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reports whether an agent runs on the outbox at this path.
   *
   * @throws {Error} The lock file cannot be read, so the answer is unknown.
   */
  static isHeld(path: string): boolean {
    return FileLock.isHeld(lockFile(path));
  }

  /** @throws {OperatingError} 'outbox-in-use' where another has it; 'outbox-path-unusable'. */
  take(): void {
    if (this.#lock !== undefined) return;
    makeFolderFor(this.#path);
    try {
      this.#lock = FileLock.take(lockFile(this.#path), WAIT_MS);
    } catch {
      // A file system without locks, or a full disk, is no reason to watch nothing.
      return;
    }
    if (this.#lock === undefined)
      throw new OperatingError('outbox-in-use', 'retry', `Another agent has the outbox ${this.#path}`);
  }

  release(): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }
}

function lockFile(outboxPath: string): string {
  return `${outboxPath}.lock`;
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
