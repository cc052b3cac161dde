import { readFileSync } from 'node:fs';

/** State of a listening socket in /proc/net/tcp. */
const LISTEN = '0A';

/**
 * Returns the Unix users (uid) with a socket that listens on a TCP port of this machine; undefined where the system does not
 * tell (only Linux does).
 */
export function listenersOf(port: number): ReadonlySet<number> | undefined {
  try {
    const rows = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(1));
    const owners = rows.flatMap((row) => {
      const [, local = '', , state, , , , uid = ''] = row.trim().split(/\s+/);
      return state === LISTEN && Number.parseInt(local.split(':')[1] ?? '', 16) === port ? [Number(uid)] : [];
    });
    return new Set(owners);
  } catch {
    return undefined;
  }
}
