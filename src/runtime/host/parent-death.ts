import { existsSync } from 'node:fs';
import { execPath, pid, platform } from 'node:process';

/** Part of util-linux, which Debian and Red Hat install always. */
const SETPRIV = '/usr/bin/setpriv';

/**
 * Returns how `fork` starts a process that Linux kills when the calling process ends (PR_SET_PDEATHSIG), also while it is
 * blocked in native code. Without setpriv, a thread of the child watches its parent, which takes 12 MB.
 *
 * @param flags Flags of Node.
 */
export function endsWithParent(flags: readonly string[]): {
  readonly execPath: string;
  readonly execArgv: string[];
  /** First argument of the child: the process that it ends with. Undefined if the child must watch its parent itself. */
  readonly args: string[];
} {
  if (platform !== 'linux' || !existsSync(SETPRIV)) return { execPath, execArgv: [...flags], args: [] };
  return { execPath: SETPRIV, execArgv: ['--pdeathsig', 'KILL', '--', execPath, ...flags], args: [String(pid)] };
}
