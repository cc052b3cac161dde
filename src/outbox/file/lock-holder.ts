import { readFileSync, statSync } from 'node:fs';

/** Returns the reason of a commit that failed because another program has the database locked. */
export function lockedBy(path: string): string {
  return `Another program has ${path} locked: ${lockHolder(path) ?? 'lslocks shows which one'}. Records wait in memory until it ends its transaction`;
}

/**
 * Returns the program that holds a write lock on a database, such as 'sqlite3 (process 4711)'; undefined if it cannot be
 * found. Linux only, from /proc/locks. A process of another user has a number and no name.
 */
function lockHolder(path: string): string | undefined {
  const inodes = new Set([path, `${path}-shm`].map((file) => statSync(file, { throwIfNoEntry: false })?.ino));
  for (const line of readIfPresent('/proc/locks').split('\n')) {
    // 12: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120
    const [, access, pid, inode] = /\b(READ|WRITE)\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line) ?? [];
    if (access !== 'WRITE' || pid === undefined || Number(pid) === process.pid) continue;
    if (!inodes.has(Number(inode))) continue;
    const name = readIfPresent(`/proc/${pid}/comm`).trim();
    return name === '' ? `process ${pid}` : `${name} (process ${pid})`;
  }
  return undefined;
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
