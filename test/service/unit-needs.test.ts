import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/config-schema.ts';
import { dropInText } from '../../src/service/drop-in.ts';
import { type BoxFacts, unitNeeds } from '../../src/service/unit-needs.ts';
import { parseUnit } from '../../src/service/unit-settings.ts';

const shipped = readFileSync(join(import.meta.dirname, '../../systemd/andon.service'), 'utf8');

const facts: BoxFacts = {
  addressesOf: (name) =>
    ({ 'broker.plant': ['10.0.0.9'], 'broker.example': ['10.0.0.8', '203.0.113.7'], localhost: ['127.0.0.1'] })[name] ??
    [],
  serialPort: (path) =>
    path.includes('by-id') ? { device: '/dev/ttyACM3', group: 'plugdev' } : { device: path, group: undefined },
  access: (path) =>
    path.endsWith('ssl.key') ? { group: 'ssl-cert' } : path.endsWith('root.key') ? 'unreadable' : 'readable',
  groupExists: (name) => ['dialout', 'plugdev', 'video', 'ssl-cert'].includes(name),
};

/** Returns the settings and remedies for sections of a configuration that otherwise needs nothing. */
function needs(sections: object, dropIn = '') {
  const base = {
    agent: { id: 'a' },
    outbox: { path: '/var/lib/andon/outbox.db' },
    models: { directory: '/var/lib/andon/models' },
  };
  const config = configSchema.parse({ ...base, ...sections });
  return unitNeeds(config, [], facts, parseUnit([shipped, dropIn])).map(({ path, settings, remedy }) => ({
    path: path.join('.'),
    settings: settings.map((setting) => setting.join('=')),
    remedy,
  }));
}

const settings = (sections: object, dropIn?: string) => needs(sections, dropIn).flatMap((need) => need.settings);
const modbus = (url: string) => ({
  sources: {
    plc: {
      type: 'modbus',
      url,
      unitId: 1,
      scanInterval: '1s',
      tags: { a: { register: 'holding', address: 0, type: 'int16' } },
    },
  },
});
const uplink = (url: string, tls?: object) => ({
  uplinks: { lake: { type: url.startsWith('http') ? 'http' : 'mqtt', url, tls } },
});

describe('a unit needs no drop-in for', () => {
  test.each([
    ['a device in a private network', modbus('tcp://192.168.0.7:502')],
    ['a device in a private IPv6 network', modbus('tcp://[fd00::7]:502')],
    ['a broker on the box', uplink('mqtt://localhost:1883')],
    ['a name with private addresses', uplink('mqtt://broker.plant:1883')],
    ['an endpoint above port 1023', { http: { listen: '127.0.0.1:1024' } }],
  ])('%s', (_, sections) => expect(needs(sections)).toEqual([]));
});

describe('networks', () => {
  test('an address outside of private networks is allowed alone', () => {
    expect(needs(modbus('tcp://203.0.113.9'))).toEqual([
      { path: 'sources.plc.url', settings: ['IPAddressAllow=203.0.113.9'], remedy: undefined },
    ]);
    expect(settings(modbus('tcp://[2001:db8::1]:502'))).toEqual(['IPAddressAllow=2001:db8::1']);
  });

  test('a name with one public address, or without one, needs every address: it may change', () => {
    expect(settings(uplink('https://broker.example/ingest'))).toEqual(['IPAddressAllow=any']);
    expect(settings(uplink('mqtts://unknown.example:8883'))).toEqual(['IPAddressAllow=any']);
  });

  test('behind a proxy, the address of the proxy is allowed alone', () => {
    const proxy = 'Environment=HTTPS_PROXY=http://203.0.113.5:3128 "NO_PROXY=.plant.example,10.0.0.0"';
    expect(settings(uplink('https://broker.example/ingest'), proxy)).toEqual(['IPAddressAllow=203.0.113.5']);
    expect(settings(uplink('wss://broker.example/mqtt'), proxy)).toEqual(['IPAddressAllow=203.0.113.5']);
    expect(settings(uplink('https://broker.example/'), proxy.replace('203.0.113.5', '10.0.0.5'))).toEqual([]);
    // Without the proxy: MQTT over TLS, and what NO_PROXY names.
    expect(settings(uplink('mqtts://broker.example:8883'), proxy)).toEqual(['IPAddressAllow=any']);
    expect(settings(uplink('https://lake.plant.example/'), proxy)).toEqual(['IPAddressAllow=any']);
  });

  test('a proxy with a name and no private address needs every address, and its IP address is proposed', () => {
    const proxied = (host: string) =>
      needs(uplink('https://lake.example/'), `Environment=HTTPS_PROXY=http://${host}:3128`);
    expect(proxied('broker.plant')).toEqual([]);
    expect(proxied('broker.example')).toMatchObject([
      {
        path: 'uplinks.lake.url',
        settings: ['IPAddressAllow=any'],
        remedy: expect.stringContaining('by its IP address'),
      },
    ]);
  });

  test('what a drop-in allows already is not needed again', () => {
    expect(settings(modbus('tcp://203.0.113.9'), 'IPAddressAllow=203.0.113.0/24')).toEqual([]);
    expect(settings(uplink('https://broker.example/'), 'IPAddressAllow=any')).toEqual([]);
    expect(settings(modbus('tcp://203.0.113.9'), 'IPAddressDeny=')).toEqual([]);
  });

  test('an empty IPAddressAllow clears the list of the unit, so that even a private address is blocked', () => {
    expect(settings(modbus('tcp://10.0.0.7'), 'IPAddressAllow=\nIPAddressAllow=localhost')).toEqual([
      'IPAddressAllow=10.0.0.7',
    ]);
  });

  test('the server of a remote model counts', () => {
    const config = configSchema.parse({
      agent: { id: 'a' },
      outbox: { path: '/var/lib/andon/o.db' },
      models: { directory: '/var/lib/andon/m' },
    });
    const [need] = unitNeeds(config, ['https://203.0.113.1:8000'], facts, parseUnit([shipped]));
    expect(need?.settings).toEqual([['IPAddressAllow', '203.0.113.1']]);
  });
});

describe('devices', () => {
  test('a serial port needs its class of devices and its group', () => {
    expect(settings(modbus('serial:///dev/ttyUSB0'))).toEqual([
      'PrivateDevices=no',
      'DeviceAllow=char-ttyUSB rw',
      'SupplementaryGroups=dialout',
    ]);
  });

  test('a link to a serial port is followed, and the group of the device is used', () => {
    expect(settings(modbus('ascii+serial:///dev/serial/by-id/usb-1'))).toEqual([
      'PrivateDevices=no',
      'DeviceAllow=char-ttyACM rw',
      'SupplementaryGroups=plugdev',
    ]);
  });

  test('GPUs need their devices, also if a single model asks for one; a group that does not exist is left out', () => {
    expect(
      settings({
        models: { directory: '/var/lib/andon/models', limits: { pump: { executionProviders: ['webgpu', 'cpu'] } } },
      }),
    ).toEqual(['PrivateDevices=no', 'DeviceAllow=char-drm rw', 'SupplementaryGroups=video']);
    expect(
      settings({ models: { directory: '/var/lib/andon/models', executionProviders: [{ name: 'cuda', deviceId: 1 }] } }),
    ).toContain('DeviceAllow=/dev/nvidia1 rw');
  });
});

describe('files and ports', () => {
  test('a folder outside of the state folder is opened, and moving it is offered; one that is hidden cannot be opened', () => {
    expect(needs({ outbox: { path: '/data/andon/outbox.db' } })).toEqual([
      {
        path: 'outbox.path',
        settings: ['ReadWritePaths=-/data/andon'],
        remedy:
          'set it to /var/lib/andon/outbox.db, or give the folder to the user andon and run sudo andon unit --write',
      },
    ]);
    expect(needs({ outbox: { path: '/home/me/outbox.db' } })).toEqual([
      { path: 'outbox.path', settings: [], remedy: 'set it to /var/lib/andon/outbox.db' },
    ]);
    expect(needs({ outbox: { path: '/data/andon/outbox.db' } }, 'ReadWritePaths=/data')).toEqual([]);
  });

  test('a key needs the group that may read it; one for root only belongs to the credentials', () => {
    const tls = { ca: '/etc/ssl/ca.pem', cert: '/etc/ssl/c.pem', key: '/etc/ssl/private/ssl.key' };
    expect(settings(uplink('mqtts://10.0.0.1', tls))).toEqual(['SupplementaryGroups=ssl-cert']);
    expect(needs(uplink('mqtts://10.0.0.1', { ...tls, key: '/etc/ssl/root.key' }))).toEqual([
      {
        path: 'uplinks.lake.tls.key',
        settings: [],
        remedy:
          'copy it to /etc/andon/credentials/root.key, and set { file: /run/credentials/andon.service/secret_root.key }',
      },
    ]);
    expect(
      needs(uplink('mqtts://10.0.0.1', { ...tls, key: { file: '/run/credentials/andon.service/secret_key' } })),
    ).toEqual([]);
  });

  test('a port below 1024 needs the capability, also in the user namespace of the box', () => {
    expect(settings({ http: { listen: '127.0.0.1:80' } })).toEqual([
      'AmbientCapabilities=CAP_NET_BIND_SERVICE',
      'CapabilityBoundingSet=CAP_NET_BIND_SERVICE',
      'PrivateUsers=no',
    ]);
  });
});

test('a drop-in meets every need that it was written for', () => {
  const sections = {
    ...modbus('serial:///dev/ttyS1'),
    ...uplink('https://broker.example/x'),
    http: { listen: '127.0.0.1:80' },
    outbox: { path: '/data/o.db' },
  };
  const config = configSchema.parse({
    agent: { id: 'a' },
    models: { directory: '/var/lib/andon/models' },
    ...sections,
  });
  const text = dropInText(unitNeeds(config, [], facts, parseUnit([shipped])), 'andon.yaml') ?? '';
  expect(text).toMatch(
    /^# Written by[^]*\[Service\]\n# uplinks\.lake\.url: broker\.example has the address 203\.0\.113\.7/,
  );
  expect(needs(sections, text)).toEqual([]);
  expect(dropInText([], 'andon.yaml')).toBeUndefined();
});
