import { closeSync, fsyncSync, openSync } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces the content of a file. After a power failure the file has the old or the new content; after the return, the new. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  {
    await using file = await open(fresh, 'w', 0o644);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/**
 * Does the same as `writeDurably` with the mode of another file, and with its owner if this user may set it.
 *
 * @param like Existing file; may be the replaced one.
 */
export async function replaceDurably(path: string, text: string, like: string): Promise<void> {
  const { mode, uid, gid } = await stat(like);
  const fresh = `${path}.new`;
  {
    await using file = await open(fresh, 'w', 0o600);
    await file.writeFile(text);
    // Only root may give a file away. Another user may keep the group if it is a member.
    await file.chown(uid, gid).catch(() => file.chown(-1, gid).catch(() => undefined));
    await file.chmod(mode & 0o7777);
    await file.sync();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Writes the entries of a folder to disk. Only then does a rename or removal in it survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Writes the content of a file to disk. */
export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.sync();
}

/** Does the same as `syncFolder` and blocks the thread, for workers. */
export function syncFolderSync(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
