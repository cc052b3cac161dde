import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeDurably } from '../../platform/durable-file.ts';
import { errorCode } from '../../platform/errors.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { clearRejection } from './rejected-versions.ts';

/** Most bytes of an `active` or `previous` file that are looked at. */
const POINTER_LENGTH_MAX = 64;

const PINNED = 'pinned';

/**
 * Makes a version the active one. Whoever calls has proved it before (`verifyModel`): nothing is checked here.
 * The one before is kept as `previous`, for `rollback`; a power cut leaves the old or the new, never half of one.
 * That a rollout rejected the version is forgotten: whoever activates it wants it all the same. One that is active already
 * is written anew, by which a running agent tries it again at once.
 *
 * @param directory Absolute path of the model directory.
 */
export async function writeActiveVersion(directory: string, name: string, version: number): Promise<void> {
  const folder = join(directory, name);
  await clearRejection(directory, name, version);
  const before = await readPointer(join(folder, 'active'));
  if (before !== undefined && before !== version) await writeDurably(join(folder, 'previous'), `${before}\n`);
  await writeDurably(join(folder, 'active'), `${version}\n`);
}

/**
 * The version that was active before the present one.
 * @throws {OperatingError} 'model-no-previous' (reject).
 */
export async function previousVersion(directory: string, name: string): Promise<number> {
  const folder = join(directory, name);
  const version = await readPointer(join(folder, 'previous'));
  // An activation that a crash cut short may have left what is still active as the previous one.
  if (version === undefined || version === (await readPointer(join(folder, 'active'))))
    throw inferenceFailure(
      'model-no-previous',
      `Model '${name}' has had no other active version: there is nothing to go back to`,
    );
  return version;
}

/**
 * The version that is held fast; undefined where none is.
 * @throws {OperatingError} 'model-file-invalid' where `pinned` does not say which: then nobody knows what may change.
 */
export async function pinnedVersion(directory: string, name: string): Promise<number | undefined> {
  const path = join(directory, name, PINNED);
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw inferenceFailure(
      'model-file-invalid',
      `${path} holds '${text.slice(0, POINTER_LENGTH_MAX)}', expected the number of a version`,
    );
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Holds a version fast, or lets go of the one that is. Whoever calls has seen that it is the active one. */
export async function writePinnedVersion(directory: string, name: string, version: number | undefined): Promise<void> {
  const path = join(directory, name, PINNED);
  if (version !== undefined) return writeDurably(path, `${version}\n`);
  await rm(path, { force: true });
  await syncFolder(join(directory, name));
}

/** Leaves nothing to roll back to, where the version is the previous one. */
export async function forgetPreviousVersion(directory: string, name: string, version: number): Promise<void> {
  const path = join(directory, name, 'previous');
  if ((await readPointer(path)) === version) await rm(path, { force: true });
}

/** The version that an `active` or `previous` file names; undefined where there is none. */
export async function readPointer(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const version = Number(text.slice(0, POINTER_LENGTH_MAX).trim());
  return Number.isInteger(version) && version >= 1 ? version : undefined;
}
