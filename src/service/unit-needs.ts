import { isIP } from 'node:net';
import { type ConfigPath, isPlainObject } from '../platform/positioned-document.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { proxyFor } from '../protocols/http/proxy-environment.ts';
import { listenAddress } from '../web/listen-address.ts';
import { isIn, isMet, type UnitSetting, type UnitSettings } from './unit-settings.ts';

/** Facts of the box that the configuration does not have. */
export type BoxFacts = {
  /** Addresses of a host name; empty if it has none now. */
  readonly addressesOf: (name: string) => readonly string[];
  /** Device of a serial port, such as /dev/ttyUSB0 for a link in /dev/serial/by-id, and the group that may use it. */
  readonly serialPort: (path: string) => { readonly device: string; readonly group: string | undefined };
  /** Reports if the user of the service may read a file, now or as a member of a group. A missing file is readable. */
  readonly access: (path: string) => 'readable' | 'unreadable' | { readonly group: string };
  readonly groupExists: (name: string) => boolean;
};

/** Something in the configuration that the sandbox of the service must allow. */
export type UnitNeed = {
  /** Key of the configuration that needs it. */
  readonly path: ConfigPath;
  /** What the sandbox blocks. */
  readonly reason: string;
  /** Settings of the unit that allow it; empty if none does. */
  readonly settings: readonly UnitSetting[];
  /** What to do, if it is more or other than writing the settings. */
  readonly remedy?: string;
};

/** A value of the configuration with its path. */
type Leaf = { readonly path: ConfigPath; readonly key: string; readonly value: string };

/** Keys with a file that the agent reads. Tags, models and the outbox have their own. */
const FILE_KEYS: ReadonlySet<string> = new Set(['ca', 'cert', 'key', 'clientCa', 'users', 'file']);
/** Folders that a setting of the unit replaces by empty ones. */
const hiddenBy: Readonly<Record<string, readonly string[]>> = {
  ProtectHome: ['/home', '/root', '/run/user'],
  PrivateTmp: ['/tmp', '/var/tmp'],
};
const STATE = '/var/lib/andon';
const PROXY_REMEDY =
  'name the proxy by its IP address in HTTPS_PROXY and HTTP_PROXY, so that the unit allows this address alone; otherwise IPAddressAllow=any';

/**
 * Returns what the configuration needs from the sandbox of the service and the unit does not allow.
 *
 * @param config With absolute paths.
 * @param servers Addresses of servers that models name in their own files.
 * @param unit The shipped unit for a new drop-in, or the effective one for a check.
 */
export function unitNeeds(
  config: AgentConfig,
  servers: readonly string[],
  facts: BoxFacts,
  unit: UnitSettings,
): readonly UnitNeed[] {
  const leaves = leavesOf(config, []);
  const urls = urlsOf(leaves, servers);
  return [
    ...urls.flatMap((leaf) => networkNeeds(leaf, facts, unit)),
    ...urls.flatMap((leaf) => serialNeeds(leaf, facts)),
    ...portNeeds(config),
    ...gpuNeeds(config, facts),
    ...folderNeeds(config, unit),
    ...leaves.filter(({ key }) => FILE_KEYS.has(key)).flatMap((leaf) => fileNeeds(leaf, facts, unit)),
  ].filter(({ settings }) => settings.length === 0 || settings.some((setting) => !isMet(setting, unit)));
}

/** Returns the URLs that `unitNeeds` looks at, with those of proxies. */
export function configUrls(config: AgentConfig, servers: readonly string[], unit: UnitSettings): readonly string[] {
  const urls = urlsOf(leavesOf(config, []), servers).map(({ value }) => value);
  return [...urls, ...urls.flatMap((url) => unitProxy(url, unit)?.href ?? [])];
}

/** Returns the proxy of a connection, from `Environment=` of the unit. A value that is not a URL counts as no proxy. */
function unitProxy(url: string, unit: UnitSettings): URL | undefined {
  const assignments = (unit.get('Environment') ?? []).flatMap((line) => line.match(/"[^"]*"|'[^']*'|\S+/g) ?? []);
  const variables = assignments.map((text) => text.replace(/^(["'])(.*)\1$/, '$2').split(/=(.*)/s, 2));
  try {
    return URL.canParse(url) ? proxyFor(url, Object.fromEntries(variables)) : undefined;
  } catch {
    return undefined;
  }
}

function urlsOf(leaves: readonly Leaf[], servers: readonly string[]): readonly Leaf[] {
  const inModels = servers.map((value) => ({ path: ['models', 'directory'], key: 'url', value }));
  return [...leaves.filter(({ key }) => key === 'url'), ...inModels];
}

function leavesOf(value: unknown, path: ConfigPath): readonly Leaf[] {
  const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : isPlainObject(value)
      ? Object.entries(value)
      : [];
  return entries.flatMap(([key, item]) => {
    // Tags and headers have names that the user chose.
    if (key === 'tags' || key === 'headers') return [];
    return typeof item === 'string'
      ? [{ path: [...path, key], key: String(key), value: item }]
      : leavesOf(item, [...path, key]);
  });
}

function networkNeeds({ path, value }: Leaf, facts: BoxFacts, unit: UnitSettings): readonly UnitNeed[] {
  const url = URL.parse(value);
  if (url === null || url.hostname === '' || url.protocol.endsWith('serial:')) return [];
  const proxy = unitProxy(value, unit);
  // Behind a proxy, the service connects to the proxy only.
  const host = hostOf(proxy ?? url);
  if (proxy !== undefined && isIP(host) === 0) return addressNeeds(facts, unit, { path, host, remedy: PROXY_REMEDY });
  if (isIP(host) !== 0)
    return [
      { path, reason: `${host} is outside of the networks that the unit allows`, settings: [['IPAddressAllow', host]] },
    ];
  return addressNeeds(facts, unit, { path, host });
}

/** For a host name. The kernel compares addresses, not names. */
function addressNeeds(
  facts: BoxFacts,
  unit: UnitSettings,
  { host, ...need }: Pick<UnitNeed, 'path' | 'remedy'> & { readonly host: string },
): readonly UnitNeed[] {
  const addresses = facts.addressesOf(host);
  const blocked = addresses.find((address) => !isMet(['IPAddressAllow', address], unit));
  if (addresses.length > 0 && blocked === undefined) return [];
  const found = blocked === undefined ? 'has no address now' : `has the address ${blocked}, which may change`;
  const reason = `${host} ${found}: the unit allows private networks only`;
  return [{ ...need, reason, settings: [['IPAddressAllow', 'any']] }];
}

function hostOf({ hostname }: URL): string {
  return hostname.replaceAll(/^\[|\]$/g, '');
}

function serialNeeds({ path, value }: Leaf, facts: BoxFacts): readonly UnitNeed[] {
  const url = URL.parse(value);
  if (url === null || !url.protocol.endsWith('serial:')) return [];
  const { device, group } = facts.serialPort(decodeURIComponent(url.pathname));
  // The class and not the device: it also covers an adapter that is plugged in later.
  const ttyClass = /\/(tty[A-Za-z]+)\d+$/.exec(device)?.[1];
  return [
    {
      path,
      reason: `the unit has no access to the serial port ${device}`,
      settings: [
        ['PrivateDevices', 'no'],
        ['DeviceAllow', `${ttyClass === undefined ? device : `char-${ttyClass}`} rw`],
        ...groups(group === undefined ? ['dialout'] : [group], facts),
      ],
    },
  ];
}

/** An unknown group would keep the service from starting. */
function groups(names: readonly string[], facts: BoxFacts): readonly UnitSetting[] {
  return names
    .filter((name) => name !== 'root' && facts.groupExists(name))
    .map((name) => ['SupplementaryGroups', name] as const);
}

/** First port that needs no privilege. */
const UNPRIVILEGED_PORT = 1024;

function portNeeds({ http, serving }: AgentConfig): readonly UnitNeed[] {
  const endpoints = [
    ['http', http.listen] as const,
    ...(serving === undefined ? [] : [['serving', serving.listen] as const]),
  ];
  return endpoints.flatMap(([section, listen]) => {
    const port = listenAddress(listen)?.port ?? 0;
    if (port === 0 || port >= UNPRIVILEGED_PORT) return [];
    const capability = 'CAP_NET_BIND_SERVICE';
    return [
      {
        path: [section, 'listen'],
        reason: `the unit may not listen on port ${port}, which is below ${UNPRIVILEGED_PORT}`,
        settings: [
          ['AmbientCapabilities', capability],
          ['CapabilityBoundingSet', capability],
          // In a user namespace of its own, the capability has no effect on the network of the box.
          ['PrivateUsers', 'no'],
        ],
      },
    ];
  });
}

function gpuNeeds({ models }: AgentConfig, facts: BoxFacts): readonly UnitNeed[] {
  const lists = [
    { path: ['models', 'executionProviders'], providers: models.executionProviders },
    ...Object.entries(models.limits).map(([name, { executionProviders }]) => ({
      path: ['models', 'limits', name, 'executionProviders'],
      providers: executionProviders ?? [],
    })),
  ];
  return lists.flatMap(({ path, providers }) =>
    providers.flatMap(({ name, deviceId }): readonly UnitNeed[] => {
      if (name === 'cpu') return [];
      const devices = name === 'cuda' ? [`/dev/nvidia${deviceId}`, '/dev/nvidiactl', '/dev/nvidia-uvm'] : ['char-drm'];
      return [
        {
          path,
          reason: `the unit has no access to the devices of ${name}`,
          settings: [
            ['PrivateDevices', 'no'],
            ...devices.map((device) => ['DeviceAllow', `${device} rw`] as const),
            ...groups(name === 'cuda' ? [] : ['render', 'video'], facts),
          ],
        },
      ];
    }),
  );
}

function folderNeeds({ outbox, models }: AgentConfig, unit: UnitSettings): readonly UnitNeed[] {
  const folders = [
    { path: ['outbox', 'path'], folder: outbox.path.replace(/\/[^/]*$/, ''), own: `${STATE}/outbox.db` },
    { path: ['models', 'directory'], folder: models.directory, own: `${STATE}/models` },
  ];
  return folders.map(({ path, folder, own }) =>
    isHidden(folder, unit)
      ? { path, reason: `the service cannot see ${folder}`, settings: [], remedy: `set it to ${own}` }
      : {
          path,
          reason: `the service may not write to ${folder}, but to ${STATE}`,
          // With '-', a folder that does not exist does not prevent the start.
          settings: [['ReadWritePaths', `-${folder}`]],
          remedy: `set it to ${own}, or give the folder to the user andon and run sudo andon unit --write`,
        },
  );
}

function isHidden(path: string, unit: UnitSettings): boolean {
  return Object.entries(hiddenBy).some(
    ([key, folders]) => unit.get(key)?.includes('yes') === true && folders.some((folder) => isIn(path, folder)),
  );
}

function fileNeeds({ path, value }: Leaf, facts: BoxFacts, unit: UnitSettings): readonly UnitNeed[] {
  if (!value.startsWith('/') || isIn(value, '/run/credentials')) return [];
  const secret = value.split('/').at(-1);
  const remedy = `copy it to /etc/andon/credentials/${secret}, and set { file: /run/credentials/andon.service/secret_${secret} }`;
  const access = isHidden(value, unit) ? 'unreadable' : facts.access(value);
  if (access === 'readable') return [];
  const reason = `the service cannot read ${value}`;
  if (access === 'unreadable') return [{ path, reason, settings: [], remedy }];
  return [{ path, reason, settings: [['SupplementaryGroups', access.group]] }];
}
