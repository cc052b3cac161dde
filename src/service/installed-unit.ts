import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../platform/errors.ts';
import { parseUnit, type UnitSettings } from './unit-settings.ts';

/** Where systemd looks for units and drop-ins, the first one first. */
const FOLDERS = ['etc/systemd/system', 'run/systemd/system', 'usr/local/lib/systemd/system', 'usr/lib/systemd/system'];
const UNIT = 'andon.service';
/** Drop-in that belongs to `andon unit --write`. */
const OWN_DROP_IN = '50-configuration.conf';

/** A unit of this box. */
export type InstalledUnit = {
  /** Unit with all drop-ins. */
  readonly effective: UnitSettings;
  /** The same without the drop-in of andon. */
  readonly base: UnitSettings;
  /** Configuration that the unit starts with. */
  readonly configFile: string | undefined;
};

/** Returns the path of the drop-in of andon. @param root Root of the file system. */
export function dropInPath(root: string): string {
  return join(root, FOLDERS[0] ?? '', `${UNIT}.d`, OWN_DROP_IN);
}

/** Returns the unit as it is installed below a root; undefined if there is none. */
export function installedUnit(root: string): InstalledUnit | undefined {
  const unit = FOLDERS.map((folder) => textOf(join(root, folder, UNIT))).find((text) => text !== undefined);
  if (unit === undefined) return undefined;
  const dropIns = new Map<string, string>();
  for (const folder of FOLDERS.map((name) => join(root, name, `${UNIT}.d`)))
    for (const name of namesIn(folder).filter((one) => one.endsWith('.conf') && !dropIns.has(one)))
      dropIns.set(name, textOf(join(folder, name)) ?? '');
  const names = [...dropIns.keys()].toSorted();
  const settingsOf = (chosen: readonly string[]) => parseUnit([unit, ...chosen.map((name) => dropIns.get(name) ?? '')]);
  const effective = settingsOf(names);
  const start = effective.get('ExecStart')?.join(' ') ?? '';
  return {
    effective,
    base: settingsOf(names.filter((name) => name !== OWN_DROP_IN)),
    configFile: /\s(?:-c|--config)[ =](\S+)/.exec(start)?.[1],
  };
}

function textOf(path: string): string | undefined {
  return orAbsent(() => readFileSync(path, 'utf8'), undefined);
}

function namesIn(folder: string): readonly string[] {
  return orAbsent(() => readdirSync(folder), []);
}

/** A file that does not exist, or that this user may not read, has no settings. */
function orAbsent<T>(read: () => T, absent: T): T {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return absent;
    throw error;
  }
}
