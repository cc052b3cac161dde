import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { syncFolder, writeDurably } from '../../platform/durable-file.ts';
import { errorCode } from '../../platform/errors.ts';
import { clearRejection } from './rejected-versions.ts';

/** Bytes of an `active` or `previous` file that are read. */
const POINTER_LENGTH_MAX = 64;

/**
 * Makes a version the active one. The caller has proved the version (`verifyModel`); nothing is checked here.
 *
 * The former active version becomes `previous`, for `rollback`. A rejection of the version by a rollout is deleted. The
 * file is also written if the version is already active: a running agent then loads it again.
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
 * Returns the version that was active before the present one.
 *
 * @throws {OperatingError} 'model-no-previous' (reject).
 */
export async function previousVersion(directory: string, name: string): Promise<number> {
  const folder = join(directory, name);
  const version = await readPointer(join(folder, 'previous'));
  // After a crash between the two writes of an activation, `previous` and `active` are equal.
  if (version === undefined || version === (await readPointer(join(folder, 'active'))))
    throw inferenceFailure(
      'model-no-previous',
      `Model '${name}' has no previous version to roll back to. Activate a version by its number instead`,
    );
  return version;
}

/**
 * Returns the pinned version; undefined if none is.
 *
 * @throws {OperatingError} 'model-file-invalid' if `pinned` holds no version: then no version may change.
 */
export async function pinnedVersion(directory: string, name: string): Promise<number | undefined> {
  const path = pinnedPath(directory, name);
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw inferenceFailure(
      'model-file-invalid',
      `${path} holds '${text.slice(0, POINTER_LENGTH_MAX)}', expected a version number`,
    );
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Pins a version, or removes the pin if undefined. The caller has checked that the version is active. */
export async function writePinnedVersion(directory: string, name: string, version: number | undefined): Promise<void> {
  const path = pinnedPath(directory, name);
  if (version !== undefined) return writeDurably(path, `${version}\n`);
  await rm(path, { force: true });
  await syncFolder(join(directory, name));
}

/** Deletes `previous` if it names this version. */
export async function forgetPreviousVersion(directory: string, name: string, version: number): Promise<void> {
  const path = join(directory, name, 'previous');
  if ((await readPointer(path)) === version) await rm(path, { force: true });
}

/** Returns the version in an `active` or `previous` file; undefined if the file is missing or holds no version. */
export async function readPointer(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const version = Number(text.slice(0, POINTER_LENGTH_MAX).trim());
  return Number.isInteger(version) && version >= 1 ? version : undefined;
}

function pinnedPath(directory: string, name: string): string {
  return join(directory, name, 'pinned');
}
