import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connectAsync } from 'mqtt';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { checkCommand } from '../../src/cli/setup/check-command.ts';
import { runCommand } from '../../src/cli/run-command.ts';
import { initCommand } from '../../src/cli/setup/init-command.ts';
import { scanCommand, type ScanOptions } from '../../src/cli/setup/scan-command.ts';
import { loadConfig } from '../../src/config/config-file.ts';
import { type AddressRange, scanUnits } from '../../src/sources/modbus/probe/modbus-scan.ts';
import { andon } from '../cli/run-andon.ts';
import { freePort } from '../support/free-port.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { modbusClient } from '../plant/read-registers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andon-setup-'));
});
afterAll(() => rm(folder, { recursive: true }));

const defaults: ScanOptions = {
  units: { first: 1, last: 10 },
  addresses: { first: 0, last: 199 },
  timeout: 2000,
  topic: '#',
  for: 1500,
  json: true,
};

async function captured(run: (output: { out(text: string): void; err(text: string): void }) => Promise<number>) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run({ out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

test('bisection finds the readable ranges of any device, and reads each address at most twice when thorough', async () => {
  const address = fc.integer({ min: 0, max: 399 });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(address, { maxLength: 60 }), async (readable) => {
      const present = new Set(readable);
      const read = async (_unit: number, kind: string, { first, last }: AddressRange) => {
        if (kind !== 'input') return 'refused' as const;
        for (let at = first; at <= last; at += 1) if (!present.has(at)) return 'refused' as const;
        return 'read' as const;
      };
      const options = {
        units: { first: 1, last: 1 },
        addresses: { first: 0, last: 399 },
        partMin: 1,
        onUnit: () => undefined,
      };
      const units = [];
      for await (const unit of scanUnits({ read, identify: async () => [] }, options)) units.push(unit);
      const found = (units[0]?.ranges.input ?? []).flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, index) => first + index),
      );
      expect(found).toEqual([...present].toSorted((a, b) => a - b));
    }),
  );
});

describeWith([pythonWith('pymodbus', 'pymodbus')], 'a gateway of pymodbus', () => {
  async function plant(): Promise<string> {
    const port = await freePort();
    const child = spawn('python3', [resolve(import.meta.dirname, '../support/pymodbus-plant.py'), String(port)], {
      stdio: 'ignore',
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null) await once(child, 'exit');
    });
    await vi.waitFor(async () => (await modbusClient(port))[Symbol.asyncDispose](), { timeout: 60_000 });
    return `tcp://127.0.0.1:${port}`;
  }

  test('its units, their identification and their readable registers are found', async () => {
    const url = await plant();
    const { code, out, err } = await captured((output) => scanCommand(url, defaults, output));
    const identification = ['Acme', 'P-7', '1.4'];
    const [many, one] = [
      [
        { first: 0, last: 9 },
        { first: 40, last: 51 },
      ],
      [{ first: 7, last: 7 }],
    ];
    expect(JSON.parse(out)).toEqual({
      url,
      units: [
        { unit: 3, identification, ranges: { holding: many, input: [{ first: 100, last: 104 }] } },
        { unit: 7, identification, ranges: { holding: one } },
      ],
    });
    expect(code).toBe(0);
    expect(err).toMatch(/^reads only, one request at a time: at most 20s for 10 units/);
  });

  test('check --live and run --once show what it has', async () => {
    const url = await plant();
    const file = join(folder, 'live.yaml');
    const tags = {
      first: { register: 'holding', address: 1, type: 'uint16', unit: 'bar', range: [0, 100] },
      outside: { register: 'holding', address: 50, type: 'uint16', range: [0, 100] },
      absent: { register: 'holding', address: 20, type: 'uint16' },
    };
    const config = {
      agent: { id: 'a' },
      sources: { plc: { type: 'modbus', url, unitId: 3, scanInterval: '100ms', tags } },
    };
    const window = { step: '100ms', hop: '100ms', maxAge: '5s' };
    await writeFile(file, JSON.stringify({ ...config, watches: { w: { tags: ['first'], window, learn: {} } } }));
    const live = await captured((output) => checkCommand(file, { json: true, strict: false, live: true }, output));
    expect(JSON.parse(live.out)).toMatchObject({
      tags: [
        { tag: 'first', value: 10, unit: 'bar', quality: 'good' },
        { tag: 'outside', value: 500, quality: 'uncertain', reason: 'out-of-range' },
        { tag: 'absent', quality: 'bad', reason: 'refused' },
      ],
    });
    expect(live.code).toBe(1);
    const windows = await captured((output) => runCommand({ config: file, once: true }, output));
    expect(windows.out).toMatch(/^w, window that ends at .*\nfirst\n +10$/);
    expect(windows.code).toBe(0);
  });

  test('its alarm is listed, acknowledged and shelved from the shell, by the user of the command', async () => {
    const url = await plant();
    const file = join(folder, 'alarms.yaml');
    const tags = { level: { register: 'holding', address: 1, type: 'uint16' } };
    const config = {
      agent: { id: 'a' },
      sources: { plc: { type: 'modbus', url, unitId: 3, scanInterval: '100ms', tags } },
      limits: { level: { high: 5, priority: 'high' } },
      outbox: { path: 'alarms/outbox.db' },
      http: { listen: `127.0.0.1:${await freePort()}` },
    };
    await writeFile(file, JSON.stringify(config));
    const agent = spawn(process.execPath, [resolve(import.meta.dirname, '../../bin/andon.js'), 'run', '-c', file], {
      stdio: 'ignore',
    });
    onTestFinished(async () => {
      agent.kill('SIGTERM');
      if (agent.exitCode === null) await once(agent, 'exit');
    });
    const alarm = 'limit/level/high';
    await vi.waitFor(async () => expect((await andon('alarms', 'list', '-c', file)).stdout).toContain(alarm), {
      timeout: 60_000,
      interval: 500,
    });
    const acknowledged = await andon('alarms', 'ack', alarm, '-c', file, '--json');
    expect(JSON.parse(acknowledged.stdout)).toMatchObject({
      state: 'acknowledged',
      by: expect.stringMatching(/^cli:/),
    });
    expect((await andon('alarms', 'shelve', alarm, '--for', '10m', '-c', file)).stdout).toContain(
      `${alarm} is shelved`,
    );
    expect(await andon('alarms', 'ack', 'limit/level/low', '-c', file)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('404'),
    });
    expect((await andon('alarms', 'unshelve', alarm, '-c', file)).code).toBe(0);
    expect((await andon('alarms', 'list', '-c', file)).code).toBe(1);
  });

  test('init scans it, and writes a configuration that passes check and is not overwritten', async () => {
    const url = await plant();
    const file = join(folder, 'scanned.yaml');
    const options = { url, unit: '3', scan: true, machine: 'press-1', agent: 'edge-07' };
    const { code, out } = await captured((output) => initCommand(file, options, output));
    expect(out).toMatch(/config ok: 1 source, 27 tags, 1 watch/);
    expect(code).toBe(0);
    const { config } = await loadConfig(file);
    expect(config.watches['press-1']?.tags).toHaveLength(27);
    await expect(captured((output) => initCommand(file, options, output))).rejects.toMatchObject({
      code: 'file-exists',
    });
  });
});

describeWith(['mosquitto'], 'a broker', () => {
  test('its topics are listed with a sample, and become tags', async () => {
    await using broker = await Mosquitto.start();
    const client = await connectAsync(broker.url);
    onTestFinished(() => client.endAsync());
    await client.publishAsync('acme/press/vibration', '{"rms":0.7,"axis":{"x":1},"text":"a"}', { retain: true });
    await client.publishAsync('acme/press/speed', '1480', { retain: true });
    const writeTags = join(folder, 'topics.csv');
    const { code, out } = await captured((output) => scanCommand(broker.url, { ...defaults, writeTags }, output));
    expect(JSON.parse(out)).toMatchObject({
      topics: [
        { topic: 'acme/press/speed', messages: 1, sample: '1480' },
        { topic: 'acme/press/vibration', messages: 1 },
      ],
    });
    expect(await readFile(writeTags, 'utf8')).toBe(
      '\uFEFFname,topic,value\nacme.press.speed,acme/press/speed,\nacme.press.vibration.rms,acme/press/vibration,$.rms\nacme.press.vibration.axis.x,acme/press/vibration,$.axis.x\n',
    );
    expect(code).toBe(0);
  });
});

describe('andon init', () => {
  test('with a register list writes a file that passes check', async () => {
    await writeFile(
      join(folder, 'list.csv'),
      'Name;Register;Address;Type;Unit\npress.pressure;holding;0;float32;bar\npress.running;coil;3;bool;\n',
    );
    const file = join(folder, 'listed.yaml');
    const options = {
      url: 'tcp://10.0.0.7:502',
      unit: '2',
      tags: join(folder, 'list.csv'),
      machine: "l'usine 1",
      agent: '7',
    };
    const { code } = await captured((output) => initCommand(file, options, output));
    expect(code).toBe(0);
    const { config } = await loadConfig(file);
    expect(config).toMatchObject({
      agent: { id: '7' },
      sources: { "l'usine 1": { unitId: 2 } },
      watches: { "l'usine 1": { tags: ['press.pressure'] } },
    });
    expect(await readFile(file, 'utf8')).toMatch(/^# yaml-language-server: \$schema=.*andon\.schema\.json\n/);
  });

  test('without a terminal names what is missing', async () => {
    await expect(
      captured((output) => initCommand(join(folder, 'none.yaml'), { url: 'tcp://h' }, output)),
    ).rejects.toMatchObject({
      code: 'init-incomplete',
    });
  });
});
