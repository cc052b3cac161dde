import { open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../platform/durable-file.ts';

/**
 * Replaces a file that only the agent may read (0600). Its owner becomes that of the state folder, so that root may write
 * it for the agent's Unix user.
 *
 * @param outboxPath The state folder is that of the outbox.
 */
export async function writePrivateFile(path: string, text: string, outboxPath: string): Promise<void> {
  const fresh = `${path}.new`;
  const owner = process.getuid?.() === 0 ? await stat(dirname(outboxPath)).catch(() => undefined) : undefined;
  {
    await using file = await open(fresh, 'w', 0o600);
    await file.chmod(0o600);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}
