import { OperatingError } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';
import type { RpcHandlers } from '../../platform/rpc.ts';
import { makeFolderFor } from './database-file.ts';
import type { StorageProtocol } from './storage-protocol.ts';

/** Time for an agent that is stopping to release the lock. */
const WAIT_MS = 2_000;

/**
 * Prevents two agents from using one outbox. Both would give out the same sequences, take each other's rows for damage,
 * and quarantine a sound file.
 *
 * The lock is on an empty file, `<outbox>.lock`. Readers do not need it.
 */
export class OutboxLock {
  readonly #path: string;
  #lock: FileLock | undefined;

  /** @param path Path of the outbox. */
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

  /** @throws {OperatingError} 'outbox-in-use' if another agent holds the lock; 'outbox-path-unusable'. */
  take(): void {
    if (this.#lock !== undefined) return;
    makeFolderFor(this.#path);
    try {
      this.#lock = FileLock.take(lockFile(this.#path), WAIT_MS);
    } catch {
      // A file system without locks, or a full disk, must not stop monitoring.
      return;
    }
    if (this.#lock === undefined)
      throw new OperatingError('outbox-in-use', 'retry', `Another agent uses the outbox ${this.#path}. Stop it first`);
  }

  release(): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }
}

function lockFile(outboxPath: string): string {
  return `${outboxPath}.lock`;
}

/** Returns the handlers with the lock held from `open` to `close`. */
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
