import { lookup } from 'node:dns/promises';
import { readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import type { BoxFacts } from './unit-needs.ts';

const USER = 'andon';
const [READ, ENTER] = [4, 1] as const;

/**
 * Reads the facts of this box.
 *
 * @param urls URLs of the configuration, whose host names are looked up.
 * @param root Root of the file system with /etc/passwd and /etc/group.
 */
export async function boxFacts(urls: readonly string[], root: string): Promise<BoxFacts> {
  const names = new Set(
    urls.map((url) => URL.parse(url)?.hostname ?? '').filter((host) => host !== '' && isIP(host) === 0),
  );
  const addresses = new Map(
    await Promise.all([...names].map(async (name) => [name, await addressesOf(name)] as const)),
  );
  const users = records(join(root, 'etc/passwd'));
  const groups = records(join(root, 'etc/group'));
  const user = users.find(([name]) => name === USER);
  const nameOf = (gid: number) => groups.find(([, , id]) => Number(id) === gid)?.[0];
  return {
    addressesOf: (name) => addresses.get(name) ?? [],
    serialPort: (path) => {
      const device = orUndefined(() => realpathSync(path)) ?? path;
      const gid = orUndefined(() => statSync(device))?.gid;
      return { device, group: gid === undefined ? undefined : nameOf(gid) };
    },
    access: (path) => (user === undefined ? 'readable' : accessTo(path, Number(user[2]), Number(user[3]), nameOf)),
    groupExists: (name) => groups.some(([existing]) => existing === name),
  };
}

async function addressesOf(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch {
    // No name server, or an unknown name: the box may be offline now.
    return [];
  }
}

/** Lines of a file such as /etc/passwd, as fields. */
function records(path: string): readonly (readonly string[])[] {
  const text = orUndefined(() => readFileSync(path, 'utf8')) ?? '';
  return text.split('\n').map((line) => line.split(':'));
}

/** The file and every folder above it must be open to the user. */
function accessTo(
  path: string,
  uid: number,
  gid: number,
  nameOf: (gid: number) => string | undefined,
): ReturnType<BoxFacts['access']> {
  const needed = new Set<string>();
  for (let here = path, bits: number = READ; ; here = dirname(here), bits = ENTER) {
    const stats = orUndefined(() => statSync(here));
    // A missing file is reported by the part that reads it.
    if (stats === undefined) return 'readable';
    const group = missingGroup(stats, bits, uid, gid);
    const name = group === undefined ? undefined : nameOf(group);
    if (group !== undefined && (name === undefined || group === 0)) return 'unreadable';
    if (name !== undefined) needed.add(name);
    if (here === dirname(here)) break;
  }
  const [first, ...others] = needed;
  if (first === undefined) return 'readable';
  return others.length === 0 ? { group: first } : 'unreadable';
}

/** Returns the group whose members have access; 0 (root) if no group has; undefined if the user has access already. */
function missingGroup(
  { mode, uid: owner, gid: group }: Stats,
  bits: number,
  uid: number,
  gid: number,
): number | undefined {
  if (owner === uid) return (mode >> 6) & bits ? undefined : 0;
  if (group === gid) return (mode >> 3) & bits ? undefined : 0;
  if (mode & bits) return undefined;
  return (mode >> 3) & bits ? group : 0;
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
