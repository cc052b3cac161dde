import { userInfo } from 'node:os';
import { env } from 'node:process';
import { errorCode } from '../../platform/errors.ts';

/** The user of the command, for the audit log: `cli:root`, or `cli:root (sudo alice)`. */
export function commandUser(): string {
  const sudo = env['SUDO_USER'];
  return sudo === undefined ? `cli:${userName()}` : `cli:${userName()} (sudo ${sudo})`;
}

/** A user in a container may have no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    return `uid ${process.getuid?.() ?? errorCode(error)}`;
  }
}
