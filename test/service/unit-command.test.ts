import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fitUnit, sandboxWarnings, unitCommand } from '../../src/cli/setup/unit-command.ts';
import { loadConfig } from '../../src/config/config-file.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { describeWith } from '../support/programs.ts';

const shipped = readFileSync(join(import.meta.dirname, '../../systemd/andon.service'), 'utf8');
const serial = `  line: { type: modbus, url: 'serial:///dev/ttyUSB0', unitId: 1, scanInterval: 1s, tags: { a: { register: holding, address: 0, type: int16 } } }`;
const local = serial.replace('serial:///dev/ttyUSB0', 'tcp://10.0.0.7:502');

/** A box below a folder, with the unit and a configuration that it starts with. */
function box(source: string) {
  const root = mkdtempSync(join(tmpdir(), 'andon-unit-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const config = join(root, 'etc/andon/andon.yaml');
  mkdirSync(join(root, 'etc/andon'), { recursive: true });
  mkdirSync(join(root, 'etc/systemd/system'), { recursive: true });
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\ndialout:x:20:\nandon:x:990:\n');
  writeFileSync(join(root, 'etc/passwd'), 'andon:x:990:990::/var/lib/andon:/usr/sbin/nologin\n');
  writeFileSync(join(root, 'etc/systemd/system/andon.service'), shipped.replace('/etc/andon/andon.yaml', config));
  const write = (text: string) =>
    writeFileSync(
      config,
      `agent: { id: a }\nmodels: { directory: /var/lib/andon/models }\noutbox: { path: /var/lib/andon/o.db }\nsources:\n${text}\n`,
    );
  write(source);
  const printed: string[] = [];
  const output = { out: (text: string) => printed.push(text), err: (text: string) => printed.push(text) };
  return {
    root,
    config,
    write,
    printed,
    output,
    dropIn: join(root, 'etc/systemd/system/andon.service.d/50-configuration.conf'),
  };
}

test('andon unit prints the drop-in, --write writes it, and a configuration without a need removes it', async () => {
  const { root, config, write, printed, output, dropIn } = box(serial);
  expect(await unitCommand({ config, root }, output)).toBe(0);
  expect(printed.join('\n')).toContain('DeviceAllow=char-ttyUSB rw');
  expect(existsSync(dropIn)).toBe(false);

  await unitCommand({ config, root, write: true }, output);
  expect(readFileSync(dropIn, 'utf8')).toContain('SupplementaryGroups=dialout');
  expect(printed.at(-1)).toMatch(/^wrote .*50-configuration\.conf\. Apply it: systemctl daemon-reload/);
  await unitCommand({ config, root, write: true }, output);
  expect(printed.at(-1)).toMatch(/is up to date$/);

  write(local);
  await unitCommand({ config, root, write: true }, output);
  expect(existsSync(dropIn)).toBe(false);
  await unitCommand({ config, root, write: true }, output);
  expect(printed.at(-1)).toBe('the unit needs no drop-in');
});

test('check warns of what the installed sandbox blocks, at its line, until the drop-in allows it', async () => {
  const { root, config, output } = box(serial);
  const loaded = await loadConfig(config);
  expect(await sandboxWarnings(loaded, root)).toMatchObject([
    {
      file: config,
      line: 5,
      path: 'sources.line.url',
      message:
        'the unit has no access to the serial port /dev/ttyUSB0: run sudo andon unit --write (PrivateDevices=no, DeviceAllow=char-ttyUSB rw, SupplementaryGroups=dialout)',
    },
  ]);
  await fitUnit(config, output, root);
  expect(await sandboxWarnings(loaded, root)).toEqual([]);
});

test('a file that the installed service does not use has no warnings and no drop-in', async () => {
  const { root, config, output, dropIn } = box(serial);
  const other = join(root, 'other.yaml');
  writeFileSync(other, readFileSync(config));
  await fitUnit(other, output, root);
  expect(await sandboxWarnings(await loadConfig(other), root)).toEqual([]);
  expect(existsSync(dropIn)).toBe(false);
});

test('a drop-in of the administrator counts, and andon does not change it', async () => {
  const { root, config, output, dropIn } = box(serial);
  const own = join(root, 'etc/systemd/system/andon.service.d/override.conf');
  mkdirSync(join(own, '..'));
  const text = '[Service]\nPrivateDevices=no\nDeviceAllow=char-ttyUSB rw\nSupplementaryGroups=dialout\n';
  writeFileSync(own, text);
  expect(await sandboxWarnings(await loadConfig(config), root)).toEqual([]);
  await unitCommand({ config, root, write: true }, output);
  expect(readFileSync(own, 'utf8')).toBe(text);
  expect(existsSync(dropIn)).toBe(false);
});

test('a key of another group is reported with the group of the file', async () => {
  const { root, config, write, printed, output } = box(serial);
  const key = join(root, 'broker.key');
  for (const file of [key, join(root, 'broker.pem')]) writeFileSync(file, '');
  chmodSync(key, 0o600);
  write(
    `  cell: { type: mqtt, url: 'mqtts://10.0.0.7', tls: { cert: ${root}/broker.pem, key: ${key} }, tags: { a: { topic: a } } }`,
  );
  writeFileSync(join(root, 'etc/systemd/system/andon.service'), shipped.replace('PrivateTmp=yes', ''));
  expect(await unitCommand({ config, root }, output)).toBe(1);
  expect(printed.join('\n')).toContain(
    `sources.cell.tls.key: the service cannot read ${key}: copy it to /etc/andon/credentials/broker.key`,
  );
});

test('without an installed unit the command reports how to install one', async () => {
  const { root, config, output } = box(serial);
  rmSync(join(root, 'etc/systemd'), { recursive: true });
  const refused = await unitCommand({ config, root }, output).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(OperatingError);
  expect(refused).toMatchObject({ code: 'unit-missing' });
});

describeWith(['systemd-analyze'], 'systemd', () => {
  test('knows every key and value of a drop-in', async () => {
    const { root, config, write, output } = box(serial);
    write(
      `${serial}\n${local.replace('line', 'plc').replace('10.0.0.7', '203.0.113.7').replace('{ a:', '{ b:')}\nhttp: { listen: '127.0.0.1:80' }`,
    );
    writeFileSync(
      config,
      readFileSync(config, 'utf8').replace(
        '/var/lib/andon/models }',
        '/srv/andon, executionProviders: [cuda, webgpu] }',
      ),
    );
    await unitCommand({ config, root, write: true }, output);
    const unit = join(root, 'etc/systemd/system/andon.service');
    writeFileSync(unit, readFileSync(unit, 'utf8').replace('/opt/andon/node_modules/.bin/node', process.execPath));
    const said = execFileSync('sh', ['-c', `systemd-analyze verify --man=no "${unit}" 2>&1 || true`], {
      encoding: 'utf8',
    });
    expect(said.split('\n').filter((line) => /andon\.service|50-configuration/.test(line))).toEqual([]);
    // The drop-in was read: a wrong value in it is reported.
    const dropIn = join(root, 'etc/systemd/system/andon.service.d/50-configuration.conf');
    writeFileSync(dropIn, `${readFileSync(dropIn, 'utf8')}PrivateUsers=perhaps\n`);
    expect(
      execFileSync('sh', ['-c', `systemd-analyze verify --man=no "${unit}" 2>&1 || true`], { encoding: 'utf8' }),
    ).toContain('perhaps');
  });
});
