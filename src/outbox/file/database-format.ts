import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatByteSize } from '../../domain/byte-size.ts';
import { syncFolderSync } from '../../platform/durable-file.ts';
import { OperatingError } from '../../platform/errors.ts';
import { limitSize, openDatabase, openReadOnly, PAGE_BYTES, type SqliteDatabase } from './database-file.ts';

/** Format of a kind of database file. The file's `user_version` is the number of migrations that ran on it. */
export type DatabaseFormat = {
  /** Name in messages, such as 'outbox'. */
  readonly name: string;
  /**
   * The first creates the tables of a new file; each further one changes the file of the version before. A released
   * migration never changes. All that are due run in one transaction, so a killed process leaves the old or the new file.
   */
  readonly migrations: readonly ((database: SqliteDatabase) => void)[];
};

/** The file is sound and cannot be used by this version of andon. It is left as it is, and the start is refused. */
export class FormatRefusal extends OperatingError {}

/**
 * Opens a database, and creates or migrates its tables. Before a migration, the file is copied to `<path>.v<N>-backup`,
 * which replaces the copy of an earlier migration.
 *
 * @param bytesMax Maximum size of the file.
 * @throws {FormatRefusal} 'database-newer' if a later version of andon wrote the file; 'database-needs-space' if the disk
 *   has no room for the copy.
 * @throws {Error} SqliteError or DatabaseDamage if the file is not a sound database.
 */
export function openFormatted(path: string, bytesMax: number, format: DatabaseFormat): SqliteDatabase {
  refuseLaterFormat(path, format);
  const database = openDatabase(path, bytesMax);
  try {
    migrate(database, path, format);
    limitSize(database, bytesMax);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Opens a database for reading, see `openReadOnly`. Does not migrate it.
 * @throws {FormatRefusal} 'database-newer', or 'database-older' until an agent has migrated the file.
 */
export function openFormattedReadOnly(path: string, format: DatabaseFormat): SqliteDatabase {
  const database = openReadOnly(path);
  try {
    const version = versionOf(database);
    const latest = format.migrations.length;
    if (version > latest) throw laterFormat(path, format, version);
    if (version < latest)
      throw new FormatRefusal(
        'database-older',
        'retry',
        `${path} has format ${version} and this version of andon reads format ${latest}. Start the agent once: it migrates the file`,
      );
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Reads the version through a read-only connection, which changes nothing in the file or its WAL.
 * @throws {FormatRefusal} 'database-newer'.
 */
export function refuseLaterFormat(path: string, format: DatabaseFormat): void {
  if (!existsSync(path)) return;
  const database = openReadOnly(path);
  try {
    const version = versionOf(database);
    if (version > format.migrations.length) throw laterFormat(path, format, version);
  } finally {
    database.close();
  }
}

function laterFormat(path: string, format: DatabaseFormat, version: number): FormatRefusal {
  const latest = format.migrations.length;
  const backup = backupsOf(path).find((copy) => copy.version <= latest);
  const older =
    backup === undefined
      ? `or move ${path} and its -wal and -shm files to another folder: andon then begins a new ${format.name}`
      : `or stop andon, delete ${path} with its -wal and -shm files, and rename ${backup.path}, the copy from before the upgrade, to ${basename(path)}`;
  return new FormatRefusal(
    'database-newer',
    'reject',
    `${path} has format ${version}, which a later version of andon wrote; this version reads formats up to ${latest}. ` +
      `The file was not changed. Install the later version again, ${older}`,
  );
}

/** Files of versions without numbers have tables and `user_version` 0. Their format is 1. */
function versionOf(database: SqliteDatabase): number {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > 0) return version;
  const tables = database.prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").pluck().get();
  return tables === 0 ? 0 : 1;
}

function migrate(database: SqliteDatabase, path: string, { migrations }: DatabaseFormat): void {
  const version = versionOf(database);
  if (version === migrations.length) return;
  if (version > 0) {
    backUp(database, path, version);
    // A full file has no space for the migration.
    limitSize(database, Infinity);
  }
  const run = database.transaction(() => {
    for (const migration of migrations.slice(version)) migration(database);
    database.pragma(`user_version = ${migrations.length}`);
  });
  run.immediate();
}

function backUp(database: SqliteDatabase, path: string, version: number): void {
  for (const { path: old } of backupsOf(path)) rmSync(old);
  const target = backupPath(path, version);
  const unfinished = `${target}.new`;
  rmSync(unfinished, { force: true });
  const bytes = Number(database.pragma('page_count', { simple: true })) * PAGE_BYTES;
  // Space for the copy, and for a WAL that holds the whole file.
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize < 2 * bytes)
    throw new FormatRefusal(
      'database-needs-space',
      'retry',
      `${path} has to be migrated, which needs ${formatByteSize(2 * bytes)} of free space. The disk has ${formatByteSize(bavail * bsize)}. ` +
        'Free space and start andon again, or install the previous version. The file was not changed',
    );
  database.prepare('VACUUM INTO ?').run(unfinished);
  syncFile(unfinished);
  renameSync(unfinished, target);
  syncFolderSync(dirname(path));
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function backupPath(path: string, version: number): string {
  return `${path}.v${version}-backup`;
}

/** Returns the copies that migrations of this file made. */
function backupsOf(path: string): readonly { readonly path: string; readonly version: number }[] {
  return readdirSync(dirname(path)).flatMap((name) => {
    const version = /^\.v(\d+)-backup$/.exec(name.slice(basename(path).length))?.[1];
    if (version === undefined || !name.startsWith(basename(path))) return [];
    return [{ path: join(dirname(path), name), version: Number(version) }];
  });
}
