import { readlinkSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { errorCode } from './errors.ts';

/** Containers may share a temporary folder, but not their process ids: one must not take the other's for dead. */
const prefix = `andon-models-${pidNamespace()}-`;

/** Makes a temporary folder, private to this user (0700), that is recognized as this process's. */
export function makePrivateFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
}

/**
 * Removes the folders of agents that were killed and could not do it themselves; never throws. One that cannot be
 * removed is somebody else's, and stays; so does one whose process id is in use again.
 */
export async function sweepPrivateFolders(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(/^\d+(?=-)/.exec(name.slice(prefix.length))?.[0]);
    if (Number.isInteger(pid) && !lives(pid))
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and is another user's.
    return errorCode(error) !== 'ESRCH';
  }
}

/** Number of the process's namespace of process ids; 0 on systems without. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}
