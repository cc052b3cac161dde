import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/config-file.ts';
import { ConfigError } from '../../src/platform/errors.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'andon-outputs-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const lamp = { type: 'modbus', source: 'plc', write: { coil: 16 }, on: { watches: ['pump'] }, safe: 'on' };

async function load(outputs: unknown, more: object = {}) {
  const file = join(folder, 'andon.yaml');
  const sections = {
    agent: { id: 'edge' },
    sources: {
      plc: {
        type: 'modbus',
        url: 'tcp://10.0.0.7',
        unitId: 3,
        tags: {
          level: { register: 'holding', address: 10, type: 'float32' },
          running: { register: 'coil', address: 3, type: 'bool' },
        },
      },
      line: {
        type: 'modbus',
        url: 'serial:///dev/ttyUSB0',
        tags: { x: { register: 'input', address: 0, type: 'int16' } },
      },
      cell: {
        type: 'mqtt',
        url: 'mqtt://broker',
        tags: { speed: { topic: 'line/speed' } },
        patterns: { any: { topic: 'acme/{asset}/+', tag: '{asset}' } },
      },
      plant: {
        type: 'sparkplug',
        url: 'mqtt://broker:1883',
        tags: { torque: { group: 'g', edgeNode: 'n', metric: 'torque' } },
      },
    },
    watches: { pump: { tags: ['level'], learn: { for: '24h' } } },
    outputs,
    ...more,
  };
  writeFileSync(file, stringify(sections), { mode: 0o600 });
  return loadConfig(file, { checkModels: false });
}

async function problems(output: object): Promise<readonly string[]> {
  try {
    return (await load({ lamp: { ...lamp, ...output } })).warnings.map(({ path, message }) => `${path}: ${message}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('an output is refused', () => {
  const mqtt = { type: 'mqtt', source: undefined, write: undefined, url: 'mqtt://broker', safe: 'unknown' };
  test.each([
    ['with the address of a tag', { write: { coil: 3 } }, "write: tag 'running' uses the same address"],
    ['inside a wide tag', { write: { register: 11 }, safe: 1 }, "write: tag 'level' uses the same address"],
    ['with two addresses', { write: { coil: 1, register: 1 } }, 'write: expected either coil or register'],
    ['without a safe value', { safe: undefined }, 'safe: required and missing'],
    ['on a watch that does not exist', { on: { watches: ['fan'] } }, "on.watches[0]: there is no watch 'fan'"],
    ['on a limit of no tag', { on: { alarms: ['limit/flow/high'] } }, "on.alarms[0]: there is no tag 'flow'"],
    ['with nothing to follow', { on: {} }, 'on: an output follows alarms'],
    ['with two things to follow', { on: { watches: ['pump'], monitoring: ['pump'] } }, 'on: an output follows alarms'],
    ['on a source that is no Modbus source', { source: 'cell' }, "source: there is no Modbus source 'cell'"],
    ['on a serial line that a source reads', { source: 'line' }, 'source: a serial line has one master'],
    ['over TLS', { source: undefined, url: 'tcps://10.0.0.7' }, 'url: outputs cannot use Modbus/TCP Security'],
    ['with a heartbeat on a coil', { on: { heartbeat: '1s' } }, 'on.heartbeat: a heartbeat counts'],
    [
      'with a count as safe value',
      { write: { register: 50 }, on: { heartbeat: '1s' }, safe: 9 },
      'safe: 9 is also a count',
    ],
    ['with MQTT 3.1.1', { ...mqtt, topic: 'a', protocolVersion: '3.1.1' }, 'protocolVersion: expected 5'],
    [
      'on the topic of a tag',
      { ...mqtt, topic: 'line/speed' },
      "topic: tag 'speed' of source 'cell' uses the same address",
    ],
    [
      'on a topic that a pattern reads',
      { ...mqtt, url: 'mqtt://broker:1883', topic: 'acme/press/horn' },
      "topic: pattern 'any' of source 'cell' uses the same address",
    ],
    [
      'on a topic of a Sparkplug source',
      { ...mqtt, topic: 'spBv1.0/g/NCMD/n' },
      "topic: source 'plant' uses the same address",
    ],
  ])('%s', async (_, output, expected) => {
    expect(await problems(output)).toEqual([expect.stringContaining(expected)]);
  });

  test('with the address of another output', async () => {
    await expect(
      load({ lamp, horn: { ...lamp, source: undefined, url: 'tcp://10.0.0.7:502', unitId: 3 } }),
    ).rejects.toThrow("output 'lamp' uses the same address");
  });
});

test('a safe value that looks like no alarm is a warning, for monitoring the one that looks like judging', async () => {
  expect(await problems({ safe: 'off' })).toEqual([expect.stringContaining("the same as for 'no alarm'")]);
  expect(await problems({ on: { monitoring: ['pump'] } })).toEqual([
    expect.stringContaining("the same as for 'andon judges'"),
  ]);
  expect(await problems({ on: { monitoring: ['pump'] }, safe: 'off' })).toEqual([]);
});

describe('outputs in a file of their own', () => {
  const fileWith = (text: string) => writeFileSync(join(folder, 'lamps.yaml'), text, { mode: 0o600 });

  test('are read from it, and a problem names its line', async () => {
    fileWith(stringify({ lamp: { ...lamp, dryRun: false } }));
    const { config, outputsFile } = await load({ file: 'lamps.yaml' });
    expect(config.outputs['lamp']).toMatchObject({ type: 'modbus', dryRun: false });
    expect(outputsFile).toBe(join(folder, 'lamps.yaml'));
    fileWith(`lamp:\n  type: modbus\n  source: nowhere\n  write: { coil: 1 }\n  on: { priority: high }\n  safe: on\n`);
    await expect(load({ file: 'lamps.yaml' })).rejects.toThrow(
      /lamps\.yaml:3:11: outputs\.lamp\.source: there is no Modbus/,
    );
  });

  test('are a problem if the file is missing, or if there are others', async () => {
    await expect(load({ file: 'none.yaml' })).rejects.toThrow(/outputs\.file: .*none\.yaml: the file does not exist/);
    fileWith('{}');
    await expect(load({ file: 'lamps.yaml', lamp })).rejects.toThrow('outputs are either here or in a file');
  });

  test('are held while others may change the file, and only those without dryRun', async () => {
    fileWith(stringify({ lamp: { ...lamp, dryRun: false }, dry: { ...lamp, write: { coil: 20 } } }));
    chmodSync(join(folder, 'lamps.yaml'), 0o664);
    const { config, warnings } = await load({ file: 'lamps.yaml' });
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^outputs are not written: other users may change .*run chmod go-w/),
    ]);
    expect(config.outputs['lamp']?.heldBecause).toMatch(/other users may change/);
    expect(config.outputs['dry']?.heldBecause).toBeUndefined();
  });
});
