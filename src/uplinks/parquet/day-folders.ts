import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeDurably } from '../../platform/durable-file.ts';
import { errorCode } from '../../platform/errors.ts';

/** A file in the manifest of its day. */
export type DayFile = {
  readonly name: string;
  readonly kind: string;
  readonly records: number;
  /** Ids of the first and the last record. */
  readonly first: string;
  readonly last: string;
};

type ListedFile = DayFile & { readonly bytes: number; readonly sha256: string };

const MANIFEST = 'manifest.json';
const DAY = /^date=\d{4}-\d{2}-\d{2}$/;

/** Returns the name of the folder of a day (UTC), in the form that Hive, DuckDB and Spark read as a column. */
export function dayOf(timeMs: number): string {
  return `date=${new Date(timeMs).toISOString().slice(0, 10)}`;
}

/**
 * A folder with a folder for each day, each with Parquet files and a manifest.
 *
 * A file exists completely or not at all. It is in the manifest only after it is on disk. All errors are those of the file system.
 */
export class DayFolders {
  readonly #folder: string;
  /** Bytes of each day, oldest first; undefined before the folder was read. */
  #bytes: Map<string, number> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes a file and lists it in the manifest. A file of the same name is replaced. */
  async write(day: string, file: DayFile, content: Uint8Array): Promise<void> {
    const folder = join(this.#folder, day);
    if ((await mkdir(folder, { recursive: true })) !== undefined) await syncFolder(this.#folder);
    await writeDurably(join(folder, file.name), content);
    const listed = await this.#manifest(folder);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const files = [...listed.filter(({ name }) => name !== file.name), { ...file, bytes: content.length, sha256 }];
    const lines = files.map((each) => JSON.stringify(each)).join(',\n');
    await writeDurably(join(folder, MANIFEST), `{"files":[\n${lines}\n]}\n`);
    if (this.#bytes !== undefined) this.#bytes.set(day, await bytesOf(folder));
  }

  /**
   * Removes the oldest days while the folder is larger than `bytesMax`, and days before `oldestDay`. The newest day stays.
   *
   * @param nextDay Day of the next file.
   * @returns Number of removed days, and whether the newest day alone is too large.
   */
  async prune(
    bytesMax: number,
    oldestDay: string,
    nextDay: string,
  ): Promise<{ readonly removed: number; readonly isFull: boolean }> {
    this.#bytes ??= await this.#read();
    // A new day makes the day before removable, also if that one fills the folder.
    const days = [...new Set([...this.#bytes.keys(), nextDay])].toSorted((a, b) => (a < b ? -1 : 1));
    let total = [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    let removed = 0;
    for (const day of days.slice(0, -1)) {
      if (total <= bytesMax && day >= oldestDay) break;
      await rm(join(this.#folder, day), { recursive: true, force: true });
      total -= this.#bytes.get(day) ?? 0;
      this.#bytes.delete(day);
      removed += 1;
    }
    return { removed, isFull: total > bytesMax };
  }

  async #read(): Promise<Map<string, number>> {
    await mkdir(this.#folder, { recursive: true });
    const found = new Map<string, number>();
    for (const name of await readdir(this.#folder))
      if (DAY.test(name)) found.set(name, await bytesOf(join(this.#folder, name)));
    return found;
  }

  async #manifest(folder: string): Promise<readonly ListedFile[]> {
    try {
      const { files } = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as { files: readonly ListedFile[] };
      return files;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).size;
  return bytes;
}
