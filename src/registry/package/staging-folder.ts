import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';

/** Begins with a dot, as no model name does. */
const AREA = '.staging';
const LOCK = 'lock';

/**
 * A folder private to this user (0700) on the file system of the model directory, so that a rename moves its content
 * into place. The process holds a lock in it. A folder whose lock is free was left by a killed process.
 */
export class StagingFolder implements AsyncDisposable {
  readonly path: string;
  readonly #lock: FileLock;

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Creates a folder and deletes those of killed processes. The caller holds the lock of the model directory, because a
   * new folder has no lock for a moment.
   *
   * @param directory Path of the model directory.
   */
  static async make(directory: string): Promise<StagingFolder> {
    const area = join(directory, AREA);
    await mkdir(area, { recursive: true, mode: 0o700 });
    await deleteLeftovers(area);
    const path = await mkdtemp(join(area, 'act-'));
    const lock = FileLock.take(join(path, LOCK), 0);
    invariant(lock !== undefined, `${path} is new, so its lock is free`);
    return new StagingFolder(path, lock);
  }

  /** Deletes the folder with its content. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock[Symbol.dispose]();
    // After an error the folder is a leftover, as after a kill.
    await rm(this.path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function deleteLeftovers(area: string): Promise<void> {
  for (const name of await readdir(area)) {
    const path = join(area, name);
    try {
      using lock = FileLock.take(join(path, LOCK), 0);
      if (lock !== undefined) await rm(path, { recursive: true, force: true });
    } catch {
      // The folder belongs to another user or is being deleted; a leftover only takes disk space.
    }
  }
}
