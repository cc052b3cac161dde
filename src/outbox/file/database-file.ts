import Database from 'better-sqlite3';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OperatingError } from '../../platform/errors.ts';

export type SqliteDatabase = Database.Database;

/** Bytes of a page, the unit of max_page_count. */
export const PAGE_BYTES = 4096;

/** Longest wait for the lock of another program. It blocks the storage thread, and the caller tries again. */
const BUSY_MS = 250;
/** SQLite's own limit. */
const PAGES_MAX = 4_294_967_294;
/**
 * Most memory that a connection keeps pages in. better-sqlite3 compiles 16 MB, which the pages of a growing file fill within
 * hours: 90 MB for the connections of an agent, which looks like a leak. Records are written at the end of a file and read
 * once, in order.
 */
const CACHE_KB = 4000;
/** Maximum size of the WAL after a checkpoint. */
const JOURNAL_BYTES_MAX = 16_777_216;
/** A file up to this size is checked completely when it is opened; a larger one as its pages are read. */
const QUICK_CHECK_BYTES_MAX = 64_000_000;
/** Quarantined files kept for analysis, in addition to the ones that may not be deleted. The oldest are deleted. */
const QUARANTINES_MAX = 3;

/**
 * Opens a database in which a commit that returned is on disk.
 *
 * better-sqlite3 compiles WAL with synchronous=NORMAL. With it, 369 of 400 replayed power cuts lost acknowledged rows;
 * with FULL, none did. So FULL is set and checked at every open.
 *
 * @param bytesMax Maximum size of the file. SQLite refuses to exceed it, so that deletes and inserts keep working: on a
 *   full disk even DELETE fails.
 * @throws {Error} SqliteError if the file is not a sound database.
 */
export function openDatabase(path: string, bytesMax: number): SqliteDatabase {
  const database = new Database(path);
  try {
    database.pragma(`busy_timeout = ${BUSY_MS}`);
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    database.pragma('mmap_size = 0');
    database.pragma(`cache_size = -${CACHE_KB}`);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('wal_autocheckpoint = 1000');
    database.pragma(`journal_size_limit = ${JOURNAL_BYTES_MAX}`);
    limitSize(database, bytesMax);
    assertPragma(database, 'journal_mode', 'wal');
    assertPragma(database, 'synchronous', 2);
    assertPragma(database, 'page_size', PAGE_BYTES);
    quickCheck(database, path);
    moveFoundRows(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens a second connection to a database of this agent, which reads and checkpoints the WAL. */
export function openReader(path: string): SqliteDatabase {
  return openSecond(path, { fileMustExist: true }, ['synchronous = FULL', 'wal_autocheckpoint = 0', 'query_only = ON']);
}

/**
 * Opens a database for reading while the agent writes it. Reads must be short: an open one prevents a checkpoint of the
 * agent's WAL. Needs write permission on the folder while no agent runs, for the index of the WAL. If root runs it,
 * SQLite gives that file to the owner of the database.
 */
export function openReadOnly(path: string): SqliteDatabase {
  return openSecond(path, { readonly: true, fileMustExist: true }, []);
}

function openSecond(path: string, options: Database.Options, pragmas: readonly string[]): SqliteDatabase {
  const database = new Database(path, options);
  try {
    for (const pragma of ['busy_timeout = 5000', 'trusted_schema = OFF', 'cell_size_check = ON', 'mmap_size = 0'])
      database.pragma(pragma);
    database.pragma(`cache_size = -${CACHE_KB}`);
    for (const pragma of pragmas) database.pragma(pragma);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Sets the maximum size of the file in bytes. A file that is already larger cannot grow. */
export function limitSize(database: SqliteDatabase, bytesMax: number): void {
  database.pragma(`max_page_count = ${Math.min(Math.ceil(bytesMax / PAGE_BYTES), PAGES_MAX)}`);
}

/** Writes a consistent copy of a database, also while an agent writes it. The WAL grows meanwhile. */
export function copyDatabase(path: string, target: string): void {
  const database = openReadOnly(path);
  try {
    database.prepare('VACUUM INTO ?').run(target);
  } finally {
    database.close();
  }
}

function assertPragma(database: SqliteDatabase, name: string, expected: unknown): void {
  const value = database.pragma(name, { simple: true });
  if (value !== expected) throw new DatabaseDamage(`pragma ${name} is ${String(value)}, not ${String(expected)}`);
}

function quickCheck(database: SqliteDatabase, path: string): void {
  if (statSync(path).size > QUICK_CHECK_BYTES_MAX) return;
  const result = database.pragma('quick_check(1)', { simple: true });
  if (result !== 'ok') throw new DatabaseDamage(`quick_check reports: ${String(result)}`);
}

/**
 * Writes the rows of a WAL that was found into the database, and empties the WAL.
 *
 * After an fsync that failed, Linux takes the written pages for clean: they are read from the page cache, and no later fsync
 * writes them. A commit after such pages in the WAL would be lost with them in a power cut.
 */
function moveFoundRows(database: SqliteDatabase): void {
  try {
    // A connection that prevents it has opened the WAL before, and SQLite ignores the rows of a failed commit then.
    truncateWal(database);
  } catch (error) {
    // No commit is possible either, and the records in the file can be read.
    if (!(error instanceof Database.SqliteError) || !/^SQLITE_(FULL|READONLY)/.test(error.code)) throw error;
  }
}

/** The content of a file is not that of a sound database of andon. */
export class DatabaseDamage extends Error {
  override readonly name = 'DatabaseDamage';
}

/** Meaning of an error for the file that it comes from. */
export type DatabaseFault =
  /** The content is wrong: quarantine. */
  | 'damaged'
  /** The disk failed, or the state of the connection is unknown: close, reopen, verify. */
  | 'io'
  /** max_page_count is reached, or no space is left on the device. */
  | 'full'
  /** Another program holds a lock on the file. */
  | 'locked'
  /** A bug in andon, not a fault of the file. */
  | 'other';

export function databaseFault(error: unknown): DatabaseFault {
  if (error instanceof DatabaseDamage) return 'damaged';
  if (!(error instanceof Database.SqliteError)) return 'other';
  // Our statements fit our schema. If SQLite rejects one, the schema in the file is damaged.
  if (/^SQLITE_(CORRUPT|NOTADB|FORMAT|ERROR|SCHEMA|MISMATCH|CONSTRAINT)/.test(error.code)) return 'damaged';
  if (error.code === 'SQLITE_FULL') return 'full';
  if (/^SQLITE_(BUSY|LOCKED)/.test(error.code)) return 'locked';
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY|PERM|PROTOCOL|NOMEM)/.test(error.code)) return 'io';
  return 'other';
}

/** Creates the folder of a database. @throws {OperatingError} 'outbox-path-unusable'. */
export function makeFolderFor(path: string): void {
  try {
    makeFolder(dirname(path));
  } catch (error) {
    throw new OperatingError(
      'outbox-path-unusable',
      'retry',
      `Cannot create the folder ${dirname(path)} for ${basename(path)}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/**
 * Creates a folder without mkdir's `recursive`: if a file system answers ENOENT to a mkdir, as /proc and some network
 * mounts do, Node 24 retries without end and the storage thread would hang.
 */
function makeFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found === undefined) makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o750 });
}

/**
 * Moves a database with its -wal and -shm away, for salvage and analysis. Keeps at most `QUARANTINES_MAX` files that may be deleted.
 *
 * @param mayDelete Returns false for the folder of a file whose rows are still needed.
 * @returns Path of the moved database, in its own folder under `<path>.quarantine/`.
 */
export function quarantine(path: string, nowMs: number, mayDelete: (folder: string) => boolean = () => true): string {
  const folder = `${path}.quarantine`;
  makeFolder(folder);
  const target = freshFolder(folder, new Date(nowMs).toISOString().replaceAll(':', ''));
  for (const suffix of ['', '-wal', '-shm'])
    if (existsSync(path + suffix)) renameSync(path + suffix, join(target, basename(path) + suffix));
  const kept = readdirSync(folder)
    .toSorted()
    .map((name) => join(folder, name));
  for (const old of kept.filter((one) => one === target || mayDelete(one)).slice(0, -QUARANTINES_MAX))
    rmSync(old, { recursive: true, force: true });
  return join(target, basename(path));
}

function freshFolder(folder: string, name: string): string {
  for (let attempt = 0; ; attempt += 1) {
    const target = join(folder, `${name}-${String(attempt).padStart(2, '0')}`);
    if (existsSync(target)) continue;
    mkdirSync(target, { mode: 0o750 });
    return target;
  }
}

export type Space = {
  readonly bytesUsed: number;
  /** Used and free pages of the file. */
  readonly bytesInFile: number;
  readonly bytesMax: number;
  /** The file cannot grow. */
  readonly atCap: boolean;
};

/** Reads the space as SQLite counts it, without disk access. Free pages inside the file count as free. */
export class SpaceGauge {
  readonly #pagesMax: number;
  // Prepared once, because the gauge is read before every commit.
  readonly #pages;
  readonly #freePages;

  constructor(database: SqliteDatabase, bytesMax: number) {
    this.#pagesMax = Math.ceil(bytesMax / PAGE_BYTES);
    this.#pages = database.prepare('PRAGMA page_count').pluck();
    this.#freePages = database.prepare('PRAGMA freelist_count').pluck();
  }

  read(): Space {
    const pages = Number(this.#pages.get());
    const free = Number(this.#freePages.get());
    return {
      bytesUsed: (pages - free) * PAGE_BYTES,
      bytesInFile: pages * PAGE_BYTES,
      bytesMax: this.#pagesMax * PAGE_BYTES,
      atCap: pages >= this.#pagesMax - 1,
    };
  }
}

/** Checkpoints the WAL into the file and truncates it. @returns False if a reader prevented it. */
export function truncateWal(database: SqliteDatabase): boolean {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
  return result?.busy === 0;
}
