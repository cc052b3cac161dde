import { BlockList, isIP } from 'node:net';

/** Settings of a unit: the values of each key, in the order of the unit and its drop-ins. */
export type UnitSettings = ReadonlyMap<string, readonly string[]>;

/** One line of a unit: `DeviceAllow=char-ttyUSB rw`. */
export type UnitSetting = readonly [key: string, value: string];

/** Words that systemd accepts in place of an address. @see systemd.resource-control(5), IPAddressAllow= */
const addressWords: Readonly<Record<string, readonly string[]>> = {
  any: ['0.0.0.0/0', '::/0'],
  localhost: ['127.0.0.0/8', '::1/128'],
  'link-local': ['169.254.0.0/16', 'fe80::/64'],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
};

/** Keys that hold one value: the last one counts. The others are lists, which grow and which an empty value clears. */
const scalarKeys: ReadonlySet<string> = new Set([
  'DevicePolicy',
  'ExecStart',
  'PrivateDevices',
  'PrivateTmp',
  'PrivateUsers',
  'ProtectHome',
  'ProtectSystem',
]);

/** Reads a unit and its drop-ins, in the order in which systemd does. */
export function parseUnit(texts: readonly string[]): UnitSettings {
  const settings = new Map<string, readonly string[]>();
  const lines = texts.flatMap((text) => text.replaceAll(/\\\n/g, ' ').split('\n'));
  for (const [, key = '', value = ''] of lines.flatMap((line) => [/^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? []])) {
    if (key === '') continue;
    const before = scalarKeys.has(key) || value === '' ? [] : (settings.get(key) ?? []);
    settings.set(key, value === '' ? [] : [...before, value]);
  }
  return settings;
}

/** Returns true if the unit already gives what the setting would give. */
export function isMet([key, value]: UnitSetting, unit: UnitSettings): boolean {
  const values = unit.get(key) ?? [];
  const words = values.flatMap((text) => text.split(/\s+/));
  switch (key) {
    case 'IPAddressAllow':
      return (unit.get('IPAddressDeny') ?? []).length === 0 || allows(words, value);
    case 'DeviceAllow':
      return isOpen(unit) || values.some((text) => text.split(' ')[0] === value.split(' ')[0]);
    case 'PrivateDevices':
    case 'PrivateUsers':
      return values.length === 0 || values.includes(value);
    case 'CapabilityBoundingSet':
      return !unit.has(key) || words.includes(value);
    case 'ReadWritePaths':
      return (
        !(unit.get('ProtectSystem') ?? []).includes('strict') ||
        writable(unit).some((path) => isIn(value.replace(/^-/, ''), path))
      );
    default:
      return words.includes(value);
  }
}

/** Folders that the service may write to. */
function writable(unit: UnitSettings): readonly string[] {
  const words = (key: string) => (unit.get(key) ?? []).flatMap((text) => text.split(/\s+/));
  return [
    ...words('StateDirectory').map((name) => `/var/lib/${name}`),
    ...words('RuntimeDirectory').map((name) => `/run/${name}`),
    ...words('ReadWritePaths').map((path) => path.replace(/^[-+]+/, '')),
  ];
}

/** Returns true if the path is the folder or lies in it. */
export function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder.replace(/\/$/, '')}/`);
}

/** A unit without a device policy allows every device. */
function isOpen(unit: UnitSettings): boolean {
  const policy = unit.get('DevicePolicy') ?? [];
  return (unit.get('DeviceAllow') ?? []).length === 0 && !policy.includes('closed') && !policy.includes('strict');
}

/** @param allowed Words of IPAddressAllow. @param wanted An address, or `any`. */
function allows(allowed: readonly string[], wanted: string): boolean {
  const networks = allowed.flatMap((word) => addressWords[word] ?? [word]);
  if (wanted === 'any') return networks.includes('0.0.0.0/0') && networks.includes('::/0');
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (isIP(address) === 0) continue;
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list.check(wanted, isIP(wanted) === 6 ? 'ipv6' : 'ipv4');
}
