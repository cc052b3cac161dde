import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import * as z from 'zod';
import type { LoadedConfig } from '../config/config-file.ts';
import { copyDatabase } from '../outbox/file/database-file.ts';
import { historyPath } from '../outbox/history/history-store.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { packageVersion } from '../platform/package-files.ts';
import { isPlainObject, PositionedDocument, valueAt } from '../platform/positioned-document.ts';
import { fileSha256 } from '../platform/sha256.ts';
import { packFolder } from './backup-file.ts';

/** Layout of a backup. */
export const backupPaths = {
  manifest: 'manifest.json',
  databases: 'databases',
  configuration: 'configuration.yaml',
  tagFiles: 'tag-files',
  /** The file of `outputs: { file }`. */
  outputs: 'outputs.yaml',
  /** State of the channels of notifications. */
  channels: 'notify',
  models: 'models',
  rollouts: 'trials.json',
} as const;

export const backupManifest = z.object({
  format: z.literal(1),
  andon: z.string(),
  agent: z.string(),
  time: z.iso.datetime(),
  /** SHA-256 of each other file, by its path in the backup. */
  files: z.record(z.string(), z.string()),
});
export type BackupManifest = z.infer<typeof backupManifest>;

/** State of the model directory that belongs to running operations. */
const TRANSIENT_MODELS = new Set(['.staging', '.lock', '.act.json']);

export type BackupOptions = {
  readonly loaded: LoadedConfig;
  /** Path of the new file. */
  readonly file: string;
  /** Undefined leaves the backup unencrypted. */
  readonly passphrase: string | undefined;
  /** False leaves the sample history out. */
  readonly history: boolean;
  readonly nowMs: number;
};

/** Returns the paths of the databases, in the order in which they are copied: the alarms must not be older than the outbox. */
export function databasePaths({ outbox }: LoadedConfig['config']): Readonly<Record<string, string>> {
  const folder = dirname(outbox.path);
  return {
    'outbox.db': outbox.path,
    'alarms.db': join(folder, 'alarms.db'),
    'annotations.db': join(folder, 'annotations.db'),
    'history.db': historyPath(outbox),
  };
}

/**
 * Writes a backup of the databases, the models and the configuration, also while the agent runs. Each database is the copy
 * of one moment. Secrets and the high-water file are not in it.
 *
 * @throws {OperatingError} 'backup-failed' (retry) if a database cannot be copied or the file cannot be written.
 */
export async function writeBackup(options: BackupOptions): Promise<BackupManifest> {
  const { loaded, file, passphrase, nowMs } = options;
  const target = resolve(file);
  if (existsSync(target)) throw failed(`${file} exists. Give another name with --out`);
  const stage = await mkdtemp(join(dirname(target), '.andon-backup-')).catch((error: unknown) => {
    throw failed(`The folder of ${file} cannot be written: ${errorMessage(error)}`, error);
  });
  try {
    await stageFiles(options, stage);
    const manifest: BackupManifest = {
      format: 1,
      andon: packageVersion,
      agent: loaded.config.agent.id,
      time: new Date(nowMs).toISOString(),
      files: await hashes(stage),
    };
    await writeFile(join(stage, backupPaths.manifest), JSON.stringify(manifest, undefined, 2));
    await packFolder(stage, target, passphrase);
    return manifest;
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    await rm(target, { force: true });
    throw failed(`The backup cannot be written: ${errorMessage(error)}`, error);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function stageFiles({ loaded, history }: BackupOptions, stage: string): Promise<void> {
  const { config, file } = loaded;
  await mkdir(join(stage, backupPaths.databases));
  for (const [name, path] of Object.entries(databasePaths(config))) {
    // A channel must not be behind its position in the outbox, nor ahead of the alarms: it would miss alarms.
    if (name === 'alarms.db') await stageChannels(dirname(config.outbox.path), join(stage, backupPaths.channels));
    if (!existsSync(path) || (name === 'history.db' && !history)) continue;
    try {
      copyDatabase(path, join(stage, backupPaths.databases, name));
    } catch (error) {
      throw failed(`${path} cannot be copied: ${errorMessage(error)}`, error);
    }
  }
  await copyFile(file, join(stage, backupPaths.configuration));
  if (loaded.outputsFile !== resolve(file)) await copyFile(loaded.outputsFile, join(stage, backupPaths.outputs));
  for (const path of tagFiles(loaded)) {
    const copy = join(stage, backupPaths.tagFiles, path);
    await mkdir(dirname(copy), { recursive: true });
    await copyFile(resolve(loaded.directory, path), copy);
  }
  const rollouts = join(dirname(config.outbox.path), backupPaths.rollouts);
  if (existsSync(rollouts)) await copyFile(rollouts, join(stage, backupPaths.rollouts));
  if (!existsSync(config.models.directory)) return;
  await mkdir(join(stage, backupPaths.models));
  for (const name of await readdir(config.models.directory))
    if (!TRANSIENT_MODELS.has(name))
      await symlink(resolve(config.models.directory, name), join(stage, backupPaths.models, name));
}

/** Returns the names of the files in a folder with the state of a channel of notifications. */
export async function channelFiles(folder: string): Promise<readonly string[]> {
  if (!existsSync(folder)) return [];
  return (await readdir(folder)).filter((name) => /^notify-.+\.json$/.test(name));
}

async function stageChannels(folder: string, target: string): Promise<void> {
  await mkdir(target);
  for (const name of await channelFiles(folder)) await copyFile(join(folder, name), join(target, name));
}

/** Returns the tag files that the configuration names and that are in its folder, as paths from there. */
function tagFiles({ text, directory }: LoadedConfig): readonly string[] {
  const sources = valueAt(new PositionedDocument(text).value, ['sources']);
  return Object.values(isPlainObject(sources) ? sources : {})
    .map((source) => valueAt(source, ['tags', 'file']))
    .filter((path) => typeof path === 'string')
    .map((path) => relative(directory, resolve(directory, path)))
    .filter((path) => !path.startsWith('..') && existsSync(join(directory, path)));
}

/** Returns the SHA-256 of every file below a folder, by its path in it. */
export async function hashes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = async (path: string): Promise<void> => {
    if ((await stat(path)).isDirectory())
      for (const name of (await readdir(path)).toSorted()) await visit(join(path, name));
    else found[relative(folder, path)] = await fileSha256(path);
  };
  await visit(folder);
  return found;
}

function failed(message: string, cause?: unknown): OperatingError {
  return new OperatingError('backup-failed', 'retry', message, { cause });
}
