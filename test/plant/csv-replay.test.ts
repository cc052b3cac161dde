import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { SystemClock } from '../../src/platform/clock.ts';
import { CsvFile } from '../../src/csv/csv-file.ts';
import { CsvReplay, type ReplayOptions } from '../../src/plant/csv-replay.ts';
import { MqttBroker } from '../../src/plant/mqtt-broker.ts';
import { replayTopics, sourcesSection } from '../../src/plant/replay-sources.ts';
import { modbusSourceSchema } from '../../src/sources/modbus/plan/modbus-config.ts';
import { mqttSourceSchema } from '../../src/sources/mqtt/mqtt-source-config.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';
import { modbusClient, readFloats } from './read-registers.ts';

const asRecorded: ReplayOptions = {
  speed: 1,
  loop: false,
  modbus: { host: '127.0.0.1', port: 0 },
  mqtt: undefined,
};

describe('a recorded file is replayed as a live device', () => {
  test('its last row stays readable, missing values as NaN, with the count of rows behind', async () => {
    const { replay, port } = await listening('ts;a;b\n10;1.5;2\n11;;-4.25\n', { ...asRecorded, speed: 1000 });
    await replay.run();
    await using client = await modbusClient(port);
    expect(await readFloats(client, 2)).toEqual([Number.NaN, -4.25]);
    expect((await client.readHoldingRegisters(4, 2)).buffer.readUInt32BE()).toBe(2);
  });

  test('the first row is there from the first answer on', async () => {
    const { port } = await listening('a;b\n7;8\n', asRecorded);
    await using client = await modbusClient(port);
    expect(await readFloats(client, 2)).toEqual([7, 8]);
  });

  test('a reader never sees half a row', async () => {
    const rows = Array.from({ length: 50 }, (_, row) => Array(40).fill(row).join(';'));
    const header = Array.from({ length: 40 }, (_, column) => `c${column}`).join(';');
    const { replay, port } = await listening(`${header}\n${rows.join('\n')}\n`, {
      ...asRecorded,
      speed: 1_000_000,
      loop: true,
    });
    const played = replay.run();
    await using client = await modbusClient(port);
    const seen = new Set<number>();
    for (let request = 0; request < 100; request += 1) {
      const row = new Set(await readFloats(client, 40));
      expect(row.size).toBe(1);
      for (const value of row) seen.add(value);
    }
    expect(seen.size).toBeGreaterThan(5);
    await replay[Symbol.asyncDispose]();
    await played;
  });

  test('a value that is wrong in the middle ends the replay with its line', async () => {
    const { replay } = await listening('a;b\n1;2\n1;oops\n', { ...asRecorded, speed: 1000 });
    await expect(replay.run()).rejects.toThrow(/:3: column 'b'/);
  });
});

describe('rows come at their recorded distances', () => {
  test.each([
    ['as recorded', 'ts;a\n10;1\n12;1\n13;1\n', 1, [0, 2000, 3000]],
    ['ten times as fast', 'ts;a\n10;1\n12;1\n13;1\n', 10, [0, 200, 300]],
    ['a second apart without times', 'a;b\n1;2\n1;2\n', 1, [0, 1000]],
    ['a night is not waited for', 'ts;a\n10;1\n40000;1\n40001;1\n', 1, [0, 60_000, 61_000]],
    ['after a clock set back the replay continues immediately', 'ts;a\n7200;1\n3600;1\n3601;1\n', 1, [0, 0, 1000]],
  ])('%s', async (_, text, speed, expectedMs) => {
    const clock = new FakeClock();
    const replay = await opened(text, { ...asRecorded, modbus: undefined, speed }, clock);
    const played = replay.run();
    const shownAtMs: number[] = [];
    await expect
      .poll(
        async () => {
          while (shownAtMs.length < replay.progress.rows) shownAtMs.push(clock.monotonicMs());
          if (shownAtMs.length < expectedMs.length && clock.timers > 0) await clock.advance(100);
          return shownAtMs.length;
        },
        { interval: 1 },
      )
      .toBe(expectedMs.length);
    await played;
    expect(shownAtMs).toEqual(expectedMs);
  });

  test('in a loop the first row follows the last, until stopped', async () => {
    const { replay } = await listening('ts;a\n10;1\n11;2\n', { ...asRecorded, speed: 1000, loop: true });
    const played = replay.run();
    await expect.poll(() => replay.progress.rows).toBeGreaterThan(6);
    await replay[Symbol.asyncDispose]();
    await played;
  });
});

test('each column is published on its own topic, a missing value not at all', async () => {
  await using broker = await MqttBroker.listen({ port: 0 });
  const received: { topic: string; value: unknown }[] = [];
  broker.aedes.on('publish', ({ topic, payload }, client) => {
    if (client !== null) received.push({ topic, value: JSON.parse(payload.toString()) });
  });
  const mqtt = { url: broker.url, topicPrefix: 'line' };
  const replay = await opened('ts;a b;c\n10;1.5;\n10.01;2.5;3\n', {
    ...asRecorded,
    modbus: undefined,
    mqtt,
    loop: true,
  });
  await replay.listen();
  const played = replay.run();
  const value = (number: number) => ({ value: number, timestamp_ms: expect.any(Number) });
  await expect.poll(() => received.map(({ topic }) => topic)).toContain('line/c');
  await replay[Symbol.asyncDispose]();
  await played;
  expect(received.find(({ topic }) => topic === 'line/c')?.value).toEqual(value(3));
  expect(received.filter(({ topic }) => topic === 'line/a-b').map((message) => message.value)).toContainEqual(
    value(1.5),
  );
});

describe('the section of the configuration that reads a replay', () => {
  test('is what the sources understand, one tag a column', async () => {
    const file = await csv('ts;Pressure (bar);row;a\n10;1;2;3\n10.5;1;2;3\n');
    const peers = {
      modbusUrl: 'tcp://127.0.0.1:1502',
      mqtt: { url: 'mqtt://127.0.0.1:1884', topicPrefix: 'line' },
      speed: 5,
    };
    const { sources } = parse(sourcesSection(file.layout, peers)) as { sources: Record<string, unknown> };
    const modbus = modbusSourceSchema.parse(sources['replay']);
    expect(modbus.scanIntervalMs).toBe(100);
    expect(Object.entries(modbus.tags).map(([tag, { address, type }]) => [tag, address, type])).toEqual([
      ['Pressure (bar)', 0, 'float32'],
      ['row', 2, 'float32'],
      ['a', 4, 'float32'],
      ['replay.row', 6, 'uint32'],
    ]);
    const mqtt = mqttSourceSchema.parse(sources['replay-mqtt']);
    expect(Object.keys(mqtt.tags)).toEqual(['mqtt.Pressure (bar)', 'mqtt.row', 'mqtt.a']);
    expect(mqtt.tags['mqtt.a']?.topic).toBe('line/a');
  });

  test('topics hold nothing that a topic may not, and are never alike', () => {
    expect(replayTopics(['a/b', 'a+b', 'a b', 'c'], 'x')).toEqual(['x/a-b', 'x/a-b-2', 'x/a-b-3', 'x/c']);
  });
});

async function listening(text: string, options: ReplayOptions) {
  const replay = await opened(text, options);
  const port = await replay.listen();
  return { replay, port: port ?? 0 };
}

async function opened(text: string, options: ReplayOptions, clock = new SystemClock() as FakeClock | SystemClock) {
  const replay = new CsvReplay(await csv(text), options, testDeps(clock));
  onTestFinished(() => replay[Symbol.asyncDispose]());
  return replay;
}

function csv(text: string): Promise<CsvFile> {
  const folder = mkdtempSync(join(tmpdir(), 'andon-replay-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'export.csv');
  writeFileSync(path, text);
  return CsvFile.open(path);
}
