import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../../platform/errors.ts';
import { FileLock } from '../../platform/file-lock.ts';

/** Begins with a dot, which no name of a model does. */
const AREA = '.staging';
const LOCK = 'lock';

/**
 * A folder private to this user (0700) on the file system of the model directory, so that what is ready in it takes
 * its place by a rename. Its process holds a lock in it: one without is a leftover.
 */
export class StagingFolder implements AsyncDisposable {
  readonly path: string;
  readonly #lock: FileLock;

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes one, and clears away those of processes that were killed. Whoever calls has the lock of the model directory:
   * between a folder and its lock nobody else may look.
   *
   * @param directory The model directory.
   */
  static async make(directory: string): Promise<StagingFolder> {
    const area = join(directory, AREA);
    await mkdir(area, { recursive: true, mode: 0o700 });
    await sweep(area);
    const path = await mkdtemp(join(area, 'act-'));
    const lock = FileLock.take(join(path, LOCK), 0);
    invariant(lock !== undefined, `nobody else knows of ${path}`);
    return new StagingFolder(path, lock);
  }

  /** Removes it with all that is still in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock[Symbol.dispose]();
    // One that cannot be removed is a leftover, as if the process had been killed here.
    await rm(this.path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function sweep(area: string): Promise<void> {
  for (const name of await readdir(area)) {
    const path = join(area, name);
    try {
      using lock = FileLock.take(join(path, LOCK), 0);
      if (lock !== undefined) await rm(path, { recursive: true, force: true });
    } catch {
      // Another user's, or being removed at this moment: it costs space and nothing else.
    }
  }
}
