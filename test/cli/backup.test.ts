import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import {
  alarmDraft,
  draft,
  drainStorage,
  numberOf,
  openOutbox,
  openStorage,
  testFolder,
} from '../outbox/outbox-fixture.ts';
import { MessageSink } from '../support/message-sink.ts';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { andon, demoConfig } from './run-andon.ts';

/** A box: a configuration with the models of the demo, and its records. */
function box(folder = testFolder()) {
  const configuration = parse(readFileSync(demoConfig, 'utf8')) as Record<string, unknown>;
  const models = join(folder, 'models');
  cpSync(join(demoConfig, '../../models'), models, { recursive: true });
  const config = join(folder, 'andon.yaml');
  const sections = {
    ...configuration,
    agent: { id: 'edge-01' },
    outbox: { path: 'records/outbox.db' },
    models: { directory: 'models' },
  };
  writeFileSync(config, stringify(sections));
  mkdirSync(join(folder, 'records'));
  return { folder, config, models, records: join(folder, 'records') };
}

const passphrase = (folder: string, text = 'correct horse battery') => {
  const file = join(folder, 'passphrase');
  writeFileSync(file, `${text}\n`);
  return ['--passphrase-file', file] as const;
};

describe('a backup', () => {
  /* The drill: a backup of a running box, the box is lost, and another disk gets its records, alarms and models. */
  test('of a running box is restored to an empty one: its records and alarms are there, and no id is given twice', async () => {
    const { folder, config, records } = box();
    const key = passphrase(folder);
    const given: (string | undefined)[] = [];
    {
      await using outbox = await openOutbox({ folder: records });
      given.push(...(await outbox.append([draft('verdict', 1), draft('sample', 2), alarmDraft(3)])));
      const written = await andon('backup', '-c', config, '--out', join(folder, 'box.enc'), '--json', ...key);
      expect(written).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(written.stdout)).toMatchObject({ ok: true, encrypted: true });
      // After the backup: lost with the box, but their ids are not free.
      given.push(...(await outbox.append([draft('verdict', 4), draft('verdict', 5)])));
    }
    expect(statSync(join(folder, 'box.enc')).mode & 0o077, 'for its owner only').toBe(0);

    const other = testFolder();
    copyFileSync(join(folder, 'box.enc'), join(other, 'box.enc'));
    const restored = await andon('restore', join(other, 'box.enc'), '-c', join(other, 'andon.yaml'), ...key);
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    expect(restored.stdout).toContain('The configuration');
    expect(readdirSync(join(other, 'models')).toSorted()).toEqual(['fill-weight', 'pump-anomaly']);
    expect(readdirSync(join(other, 'records')).toSorted()).toEqual(['alarms.db', 'outbox.db', 'outbox.db.lock']);

    const storage = openStorage(join(other, 'records'));
    expect(storage.opened.epochsStarted).toBe(1);
    expect(storage.alarms()).toHaveLength(1);
    const [id] = storage.append(draft('verdict', 6));
    expect(given).not.toContain(id);
    const kept = drainStorage(storage);
    expect(kept.map(numberOf)).toEqual([1, 2, 3, 6]);
    expect(kept.slice(0, 3).map((record) => record.id)).toEqual(given.slice(0, 3));
    storage.stop();
  });

  test('of a box with a tag file is restored to an empty disk, for the user of the agent alone', async () => {
    const folder = testFolder();
    const [config, file] = [join(folder, 'andon.yaml'), join(folder, 'box.tar.gz')];
    mkdirSync(join(folder, 'tags'));
    writeFileSync(join(folder, 'tags/press.csv'), 'name,register,address,type\nload,holding,0,float32\n');
    const press = { type: 'modbus', url: 'tcp://127.0.0.1:9', tags: { file: 'tags/press.csv' } };
    writeFileSync(config, stringify({ agent: { id: 'edge-01' }, sources: { press }, outbox: { path: 'outbox.db' } }));
    const storage = openStorage(folder);
    storage.append(draft('verdict', 1));
    storage.stop();
    expect(await andon('backup', '-c', config, '--out', file)).toMatchObject({ code: 0 });

    const other = testFolder();
    expect(await andon('restore', file, '-c', join(other, 'andon.yaml'))).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(other, 'tags/press.csv'), 'utf8')).toContain('load,holding');
    for (const name of readdirSync(other).filter((each) => each.includes('.db')))
      expect({ name, mode: statSync(join(other, name)).mode & 0o777 }).toEqual({ name, mode: 0o600 });
    expect(await andon('check', join(other, 'andon.yaml'))).toMatchObject({ code: 0 });
  });

  test('of a box with outputs and notifications is restored: no message is repeated or lost, and only the owner may write the outputs', async () => {
    await using device = await ModbusRawServer.listen();
    await using sink = await MessageSink.listen();
    using folder = new AgentFolder();
    const tag = (address: number) => ({ register: 'holding', address, type: 'uint16' });
    const tags = { level: tag(0), flow: tag(1) };
    const retry = { first: '50ms', max: '100ms' };
    folder.configure({
      sources: { plc: { type: 'modbus', url: device.url, scanInterval: '100ms', tags } },
      limits: { level: { high: 50 }, flow: { high: 50 } },
      notify: { shift: { type: 'webhook', url: sink.url, group: { wait: '0ms' }, retry } },
      outputs: { file: 'lamps/outputs.yaml' },
    });
    const alive = { type: 'modbus', source: 'plc', write: { register: 9 }, on: { heartbeat: '1s' }, safe: 0 };
    const outputs = stringify({ alive });
    mkdirSync(join(folder.path, 'lamps'));
    writeFileSync(join(folder.path, 'lamps/outputs.yaml'), outputs);
    chmodSync(join(folder.path, 'lamps/outputs.yaml'), 0o666);
    const file = join(folder.path, 'box.tar.gz');
    {
      await using agent = await AgentProcess.start(folder.configFile);
      device.registers[0] = 100;
      expect(alarmsOf(await sink.accepted.when(() => true))).toEqual(['limit/level/high']);
      sink.fault = { status: 503 };
      device.registers[1] = 100;
      await agent.logged(({ component, status }) => component === 'notify/shift' && status === 'degraded');
      expect(await andon('backup', '-c', folder.configFile, '--out', file)).toMatchObject({ code: 0, stderr: '' });
      await agent.end('SIGKILL');
    }
    sink.fault = undefined;
    using other = new AgentFolder();
    expect(await andon('restore', file, '-c', other.configFile)).toMatchObject({ code: 0, stderr: '' });
    const restored = join(other.path, 'lamps/outputs.yaml');
    expect(readFileSync(restored, 'utf8')).toBe(outputs);
    expect(statSync(restored).mode & 0o022).toBe(0);
    await using agent = await AgentProcess.start(other.configFile);
    expect(alarmsOf(await sink.accepted.when(() => true, 1))).toEqual(['limit/flow/high']);
    expect(await agent.end('SIGTERM')).toBe(0);

    // State of later alarms does not belong to older records.
    expect(await andon('restore', file, '-c', other.configFile)).toMatchObject({ code: 0, stderr: '' });
    const kept = readdirSync(other.path).find((name) => name.startsWith('replaced-')) ?? '';
    const waiting = (path: string) =>
      Object.keys((JSON.parse(readFileSync(join(path, 'notify-shift.json'), 'utf8')) as { waiting: object }).waiting);
    expect([waiting(join(other.path, kept)), waiting(other.path)]).toEqual([[], ['limit/flow/high']]);
  });

  test('replaces the present records, keeps them aside, and begins a new epoch', async () => {
    const { folder, config, records } = box();
    const first = openStorage(records);
    first.append(draft('verdict', 1));
    first.stop();
    const file = join(folder, 'box.tar.gz');
    expect(await andon('backup', '-c', config, '--out', file)).toMatchObject({ code: 0 });
    const second = openStorage(records);
    second.append(draft('verdict', 2));
    second.stop();

    expect(await andon('restore', file, '-c', config)).toMatchObject({ code: 0 });
    const kept = readdirSync(records).find((name) => name.startsWith('replaced-')) ?? '';
    expect(readdirSync(join(records, kept))).toEqual(
      expect.arrayContaining(['outbox.db', 'outbox.db.high-water', 'alarms.db']),
    );
    const third = openStorage(records);
    expect(third.opened.epoch).not.toBe(first.opened.epoch);
    expect(drainStorage(third).map(numberOf)).toEqual([1]);
    third.stop();
  });

  test('is not restored while the agent runs', async () => {
    const { folder, config, records } = box();
    const outbox = await openOutbox({ folder: records });
    await outbox.append([draft('verdict', 1)]);
    const file = join(folder, 'box.tar.gz');
    expect(await andon('backup', '-c', config, '--out', file)).toMatchObject({ code: 0 });
    const refused = await andon('restore', file, '-c', config);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('outbox-in-use') as unknown });
    expect((await outbox.stats()).records).toBe(1);
  });

  test.each([
    ['without its passphrase', (bytes: Buffer) => bytes, undefined, 'Give its passphrase'],
    ['with another passphrase', (bytes: Buffer) => bytes, 'a wrong passphrase', 'the passphrase is wrong'],
    ['if a bit of it was changed', changedBit, 'correct horse battery', 'the file was changed or cut'],
    [
      'if its end is missing',
      (bytes: Buffer) => bytes.subarray(0, -20),
      'correct horse battery',
      'the file was changed or cut',
    ],
  ])('is refused %s, and nothing is changed', async (_, change, phrase, message) => {
    const { folder, config, records } = box();
    const storage = openStorage(records);
    storage.append(draft('verdict', 1));
    storage.stop();
    const file = join(folder, 'box.enc');
    await andon('backup', '-c', config, '--out', file, ...passphrase(folder));
    writeFileSync(file, change(readFileSync(file)));
    const before = readFileSync(join(records, 'outbox.db'));
    const args = phrase === undefined ? [] : passphrase(folder, phrase);
    const refused = await andon('restore', file, '-c', config, ...args);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(message) as unknown });
    expect(readFileSync(join(records, 'outbox.db'))).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('.andon'))).toEqual([]);
  });

  test('that is not one is refused by name', async () => {
    const { folder, config } = box();
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'no backup');
    expect(await andon('restore', file, '-c', config)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not a backup of andon') as unknown,
    });
  });

  test('leaves the sample history out on request', async () => {
    const { folder, config, records } = box();
    openStorage(records).stop();
    writeFileSync(join(records, 'history.db'), '');
    const file = join(folder, 'box.tar.gz');
    const { stdout } = await andon('backup', '-c', config, '--out', file, '--no-history', '--json');
    expect(Object.keys((JSON.parse(stdout) as { files: object }).files)).not.toContain('databases/history.db');
    expect(existsSync(file)).toBe(true);
    rmSync(file);
  });
});

/** Ids of the alarms of a message. */
function alarmsOf({ body }: { readonly body: string }): readonly string[] {
  const { alarms } = JSON.parse(body) as { readonly alarms: readonly { readonly alarm: string }[] };
  return alarms.map(({ alarm }) => alarm);
}

function changedBit(bytes: Buffer): Buffer {
  const place = Math.floor(bytes.length / 2);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return bytes;
}
