import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../platform/durable-file.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';

/**
 * Replaces a file that only the agent may read (0600). It gets the owner of the state folder, so that root may write it
 * for the agent's Unix user.
 *
 * @param outboxPath The state folder contains the outbox.
 * @throws {OperatingError} 'file-not-written' (retry), for example without the right to write the folder.
 */
export async function writePrivateFile(path: string, text: string, outboxPath: string): Promise<void> {
  const owner = process.getuid?.() === 0 ? await ownerOf(dirname(outboxPath)) : undefined;
  await replaceFile(path, text, 0o600, owner);
}

/** Replaces a file that everyone may read (0644). @throws {OperatingError} 'file-not-written' (retry). */
export async function writePublicFile(path: string, text: string): Promise<void> {
  await replaceFile(path, text, 0o644, undefined);
}

/** Replaces a file that only its writer may read (0600). @throws {OperatingError} 'file-not-written' (retry). */
export async function writeOwnFile(path: string, text: string): Promise<void> {
  await replaceFile(path, text, 0o600, undefined);
}

type Owner = { readonly uid: number; readonly gid: number };

async function replaceFile(path: string, text: string, mode: number, owner: Owner | undefined): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await rm(fresh, { force: true });
    {
      // 'wx' follows no link: another user who may write the folder must not choose which file root replaces.
      await using file = await open(fresh, 'wx', mode);
      await file.chmod(mode);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.writeFile(text);
      await file.sync();
    }
    await rename(fresh, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw new OperatingError(
      'file-not-written',
      'retry',
      `${path} cannot be written: ${errorMessage(error)}. Run the command as root or as the owner of the folder`,
      { cause: error },
    );
  }
}

/** Returns the owner of a folder; of the nearest folder above if it does not exist yet. */
async function ownerOf(folder: string): Promise<Owner> {
  try {
    return await stat(folder);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
    return ownerOf(dirname(folder));
  }
}
