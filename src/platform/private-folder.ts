import { readlinkSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { errorCode } from './errors.ts';

/** The PID namespace is a part: containers may share a temporary folder, and one must not remove the folders of another. */
const prefix = `andon-models-${pidNamespace()}-`;

/** Creates a temporary folder for this user only (0700). Its name contains the process id. */
export function makePrivateFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
}

/**
 * Removes the folders of killed processes. Never throws. A folder of another user stays, and so does a folder whose
 * process id is in use again.
 */
export async function sweepPrivateFolders(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(/^\d+(?=-)/.exec(name.slice(prefix.length))?.[0]);
    if (Number.isInteger(pid) && !isRunning(pid))
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process is running and belongs to another user.
    return errorCode(error) !== 'ESRCH';
  }
}

/** Returns the number of the PID namespace; 0 on systems without namespaces. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}
