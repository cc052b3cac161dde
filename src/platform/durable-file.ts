import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces a file's text; a power cut leaves the old or the new, never half of one, and after it returns the new. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  {
    await using file = await open(fresh, 'w', 0o644);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Puts on the disk which files a folder has: a rename or removal in it is kept only then. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
