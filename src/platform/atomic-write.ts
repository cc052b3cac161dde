import { open, rename } from 'node:fs/promises';

/** Replaces a small text file: a power cut leaves the old one or the new one, never half of one. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}
