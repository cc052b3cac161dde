import { statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { env, getuid } from 'node:process';
import { errorMessage } from '../../platform/errors.ts';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Returns why a file may be changed by more than an administrator of the box; undefined if it may not.
 *
 * Its owner must be root. Without systemd, when a person runs the agent, it may also be this person. Neither the file nor its
 * folder may be writable by group or others. Not checked on Windows.
 */
export function protectionProblem(path: string): string | undefined {
  const user = getuid?.();
  if (user === undefined) return undefined;
  // systemd sets it for each service (systemd.exec).
  const isService = env['INVOCATION_ID'] !== undefined;
  const problemOf = (name: string, { uid, mode }: Stats, isFolder: boolean): string | undefined => {
    if (uid !== 0 && (isService || uid !== user))
      return `${name} belongs to user ${uid}, not to root: run chown root ${name}`;
    // In a sticky folder, only the owner of a file replaces it.
    const isOpen = (mode & WRITABLE_BY_OTHERS) !== 0 && !(isFolder && (mode & STICKY) !== 0);
    return isOpen ? `other users may change ${name}: run chmod go-w ${name}` : undefined;
  };
  try {
    const folder = dirname(path);
    return problemOf(path, statSync(path), false) ?? problemOf(folder, statSync(folder), true);
  } catch (error) {
    return `${path}: ${errorMessage(error)}`;
  }
}
