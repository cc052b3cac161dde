import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** The system does not allow a fault. */
export class NotPermitted extends Error {}

/**
 * An ext4 file system in a file. It becomes read-only while it is in use, as after an error of a disk: a remount by hand is
 * refused for a file system that is in use.
 */
export class FailingFileSystem implements Disposable {
  readonly #home = mkdtempSync(join(tmpdir(), 'andon-ext4-'));
  readonly #image = join(this.#home, 'image');
  #folder = this.#home;

  /** @throws {NotPermitted} With the reason, if the system does not allow it. */
  constructor() {
    try {
      writeFileSync(this.#image, '');
      truncateSync(this.#image, 64e6);
      execFileSync('mkfs.ext4', ['-q', '-F', this.#image], { stdio: 'pipe' });
      this.mount(join(this.#home, 'tried'));
      const isPossible = existsSync(this.#switch);
      execFileSync('umount', [this.#folder]);
      if (!isPossible) throw new Error('the kernel does not inject errors into ext4');
    } catch (error) {
      this[Symbol.dispose]();
      throw new NotPermitted(`no ext4 file system can be made to fail here: ${String(error)}`, { cause: error });
    }
  }

  mount(folder: string): void {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    execFileSync('mount', ['-o', 'loop,errors=remount-ro', this.#image, folder], { stdio: 'pipe' });
  }

  /** Writes everything to the disk. Later writes that are not synced are lost when it fails. */
  sync(): void {
    execFileSync('sync', ['-f', this.#folder]);
  }

  /** From now on every write fails with EROFS. */
  fail(): void {
    writeFileSync(this.#switch, 'injected');
  }

  /** Checks and mounts it again. Nothing may use it. */
  repair(): void {
    execFileSync('umount', [this.#folder]);
    try {
      execFileSync('e2fsck', ['-fy', this.#image], { stdio: 'pipe' });
    } catch {
      // 1: errors were corrected.
    }
    this.mount(this.#folder);
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.#folder]);
  }

  [Symbol.dispose](): void {
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** File of the kernel that injects an error. */
  get #switch(): string {
    const source = execFileSync('findmnt', ['-no', 'SOURCE', this.#folder], { encoding: 'utf8' }).trim();
    return `/sys/fs/ext4/${basename(source)}/trigger_fs_error`;
  }
}
