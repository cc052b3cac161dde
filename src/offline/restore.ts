import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { getuid } from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { loadConfig } from '../config/config-file.ts';
import { annotationsFormat } from '../outbox/annotations/annotation-database.ts';
import { alarmsFormat } from '../outbox/alarms/alarm-database.ts';
import { makeFolderFor } from '../outbox/file/database-file.ts';
import { refuseLaterFormat } from '../outbox/file/database-format.ts';
import { OutboxLock } from '../outbox/file/outbox-lock.ts';
import { historyFormat } from '../outbox/history/history-database.ts';
import { outboxFormat } from '../outbox/records/outbox-schema.ts';
import { syncFile, syncFolder } from '../platform/durable-file.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { type BackupManifest, backupManifest, backupPaths, channelFiles, databasePaths, hashes } from './backup.ts';
import { PositionedDocument, valueAt } from '../platform/positioned-document.ts';
import { unpackBackup } from './backup-file.ts';

const formats = {
  'outbox.db': outboxFormat,
  'alarms.db': alarmsFormat,
  'annotations.db': annotationsFormat,
  'history.db': historyFormat,
} as const;

export type RestoreOptions = {
  readonly file: string;
  readonly passphrase: string | undefined;
  /** Configuration that names the folders. If it does not exist, that of the backup is restored to this path. */
  readonly configFile: string;
  readonly nowMs: number;
};

export type Restored = {
  readonly manifest: BackupManifest;
  readonly databases: readonly string[];
  /** Folders with what was there before. */
  readonly replaced: readonly string[];
  /** True if the configuration came from the backup. */
  readonly configuration: boolean;
};

/**
 * Puts the databases and the models of a backup in place of the present ones, which are kept in `replaced-<time>`. The agent
 * must be stopped. The high-water file goes too, so that the next start begins a new epoch and no id is given twice.
 *
 * @throws {OperatingError} 'outbox-in-use' (retry) while the agent runs; 'backup-unreadable' | 'backup-passphrase' (reject);
 *   'database-newer' (reject) if a later version of andon made the backup. Nothing is changed then.
 */
export async function restoreBackup({ file, passphrase, configFile, nowMs }: RestoreOptions): Promise<Restored> {
  if (!existsSync(file)) throw unreadable(`${file} does not exist`);
  const stage = await mkdtemp(join(dirname(resolve(file)), '.andon-restore-'));
  try {
    await unpackBackup(file, stage, passphrase);
    const manifest = await provenManifest(file, stage);
    const staged = join(stage, backupPaths.databases);
    const databases = readdirSync(staged).filter((name): name is keyof typeof formats => name in formats);
    for (const name of databases) refuseLaterFormat(join(staged, name), formats[name]);
    const fromBackup = !existsSync(configFile);
    if (fromBackup) await restoreConfiguration(stage, configFile);
    const { config } = await loadConfig(configFile, { checkModels: false });
    const lock = new OutboxLock(config.outbox.path);
    makeFolderFor(config.outbox.path);
    lock.take();
    try {
      const replaced = await replaceDatabases(config, staged, databases, nowMs);
      const models = await replaceModels(config.models.directory, join(stage, backupPaths.models), nowMs);
      return { manifest, databases, replaced: [...replaced, ...models], configuration: fromBackup };
    } finally {
      lock.release();
      giveToAgent(`${config.outbox.path}.lock`);
    }
  } finally {
    await rm(stage, { recursive: true, force: true });
    await rm(`${stage}.tar.gz`, { force: true });
  }
}

/** Copies the configuration, its tag files and its file of outputs. A tag file or file of outputs that exists stays. */
async function restoreConfiguration(stage: string, configFile: string): Promise<void> {
  const folder = dirname(resolve(configFile));
  copyConfigFile(join(stage, backupPaths.configuration), configFile);
  const tagFiles = join(stage, backupPaths.tagFiles);
  if (existsSync(tagFiles)) await cp(tagFiles, folder, { recursive: true, force: false });
  const outputs = join(stage, backupPaths.outputs);
  if (!existsSync(outputs)) return;
  const name = valueAt(new PositionedDocument(readFileSync(configFile, 'utf8')).value, ['outputs', 'file']);
  const target = resolve(folder, String(name));
  if (existsSync(target)) return;
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  copyConfigFile(outputs, target);
}

/** The group of the folder is the group of the agent, and may read the file. Only this user may change it: outputs require that. */
function copyConfigFile(from: string, to: string): void {
  copyFileSync(from, to);
  if (getuid?.() === 0) chownSync(to, 0, statSync(dirname(to)).gid);
  chmodSync(to, (statSync(from).mode & 0o644) | 0o640);
}

/** Gives a file that root made to the owner of its folder, and to no one else: the agent could not use it. */
function giveToAgent(file: string): void {
  if (!existsSync(file)) return;
  const { uid, gid } = statSync(dirname(file));
  chownSync(file, uid, gid);
  chmodSync(file, 0o600);
}

/** Returns the manifest, which has the hash of every file of the backup. */
async function provenManifest(file: string, stage: string): Promise<BackupManifest> {
  const path = join(stage, backupPaths.manifest);
  if (!existsSync(path)) throw unreadable(`${file} has no manifest: it is not a backup of andon`);
  let manifest: BackupManifest;
  try {
    manifest = backupManifest.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw unreadable(`The manifest of ${file} cannot be read: ${errorMessage(error)}`);
  }
  const { [backupPaths.manifest]: _, ...found } = await hashes(stage);
  if (!isDeepStrictEqual(found, manifest.files))
    throw unreadable(`The files in ${file} are not those of its manifest: it was changed or cut`);
  return manifest;
}

/**
 * Moves the databases away, with their WAL, the high-water file and the state of the channels of notifications, and copies
 * those of the backup to their places. A channel that the backup does not have begins again: its present state is of later
 * alarms.
 */
async function replaceDatabases(
  config: Parameters<typeof databasePaths>[0],
  staged: string,
  names: readonly string[],
  nowMs: number,
): Promise<readonly string[]> {
  const paths = databasePaths(config);
  const folder = dirname(config.outbox.path);
  for (const name of names) {
    const fresh = `${paths[name] ?? ''}.restored`;
    copyFileSync(join(staged, name), fresh);
    giveToAgent(fresh);
    // A power cut right after the restore must not leave an empty database.
    await syncFile(fresh);
  }
  const kept = join(folder, replacedName(nowMs));
  const databases = Object.values(paths).flatMap((path) =>
    ['', '-wal', '-shm', '.high-water'].map((suffix) => path + suffix).filter((file) => existsSync(file)),
  );
  const present = [...databases, ...(await channelFiles(folder)).map((name) => join(folder, name))];
  if (present.length > 0) await mkdir(kept, { mode: 0o750 });
  for (const path of present) await rename(path, join(kept, basename(path)));
  for (const name of names) await rename(`${paths[name] ?? ''}.restored`, paths[name] ?? '');
  const backup = dirname(staged);
  const channels = await channelFiles(join(backup, backupPaths.channels));
  const states = [backupPaths.rollouts, ...channels.map((name) => join(backupPaths.channels, name))];
  for (const path of states.filter((each) => existsSync(join(backup, each)))) {
    const target = join(folder, basename(path));
    copyFileSync(join(backup, path), target);
    giveToAgent(target);
    await syncFile(target);
  }
  await syncFolder(folder);
  return present.length > 0 ? [kept] : [];
}

async function replaceModels(directory: string, staged: string, nowMs: number): Promise<readonly string[]> {
  if (!existsSync(staged)) return [];
  const fresh = `${directory}.restored`;
  await rm(fresh, { recursive: true, force: true });
  await cp(staged, fresh, { recursive: true });
  chownTree(fresh, statSync(dirname(directory)));
  const kept = `${directory}.${replacedName(nowMs)}`;
  const isPresent = existsSync(directory);
  if (isPresent) await rename(directory, kept);
  await rename(fresh, directory);
  await syncFolder(dirname(directory));
  return isPresent ? [kept] : [];
}

/** The files belong to the user of the agent, also if root restores them. */
function chownTree(path: string, owner: { readonly uid: number; readonly gid: number }): void {
  chownSync(path, owner.uid, owner.gid);
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) chownTree(join(path, name), owner);
}

function replacedName(nowMs: number): string {
  return `replaced-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '')}`;
}

function unreadable(message: string): OperatingError {
  return new OperatingError('backup-unreadable', 'reject', message);
}
