import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../platform/atomic-write.ts';
import { inferenceFailure } from './inference-failure.ts';
import { clearRejection } from './rejected-versions.ts';

/** Most bytes of an `active` or `previous` file that are looked at. */
const POINTER_LENGTH_MAX = 64;

/**
 * Makes a version the active one. Whoever calls has proved it before (`verifyModel`): nothing is checked here.
 * The one before is kept as `previous`, for `rollback`; a power cut leaves the old or the new, never half of one.
 * That a trial rejected the version is forgotten: whoever activates it wants it all the same.
 *
 * @param directory Absolute path of the model directory.
 */
export async function writeActiveVersion(directory: string, name: string, version: number): Promise<void> {
  const folder = join(directory, name);
  await clearRejection(directory, name, version);
  const before = await readPointer(join(folder, 'active'));
  if (before === version) return;
  if (before !== undefined) await writePointer(join(folder, 'previous'), before);
  await writePointer(join(folder, 'active'), version);
}

/**
 * The version that was active before the present one.
 * @throws {OperatingError} 'model-no-previous' (reject).
 */
export async function previousVersion(directory: string, name: string): Promise<number> {
  const version = await readPointer(join(directory, name, 'previous'));
  if (version === undefined)
    throw inferenceFailure(
      'model-no-previous',
      `Model '${name}' has had no other active version: there is nothing to go back to`,
    );
  return version;
}

/** The version that an `active` or `previous` file names; undefined where there is none. */
export async function readPointer(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const version = Number(text.slice(0, POINTER_LENGTH_MAX).trim());
  return Number.isInteger(version) && version >= 1 ? version : undefined;
}

async function writePointer(path: string, version: number): Promise<void> {
  await writeFileAtomically(path, `${version}\n`);
}
