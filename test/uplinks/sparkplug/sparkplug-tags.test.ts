import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AlarmCommands } from '../../../src/contracts/alarm-commands.ts';
import { LiveEvents, type TagReading } from '../../../src/contracts/live-events.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { decodeSparkplug, type SparkplugPayload } from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { SparkplugEdgeNode } from '../../../src/uplinks/sparkplug/sparkplug-edge-node.ts';
import { sparkplugPublishSchema } from '../../../src/uplinks/sparkplug/sparkplug-publish-config.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { describeWith, pythonWith } from '../../support/programs.ts';
import { testDeps } from '../../support/test-deps.ts';

const TIME_MS = 1_780_000_000_000;

function reading(tag: string, value: number | undefined, quality: TagReading['quality'] = 'good'): TagReading {
  return { tag, value, unit: '', timestampMs: TIME_MS, quality, reason: 'none' };
}

type Heard = {
  readonly type: string;
  readonly device: string;
  readonly raw: Buffer;
  readonly payload: SparkplugPayload;
};

/** An agent with tags on a broker, and a host with all its messages. */
async function bench(readings: readonly TagReading[], tags: boolean | string[] = true) {
  const stack = new AsyncDisposableStack();
  const broker = stack.use(await MqttBroker.listen({ port: 0 }));
  const heard = new Recorder<Heard>();
  const host = stack.use(new MqttConnection(brokerOptions(broker.url, { protocolVersion: 4 }), testDeps()));
  const subscribed = Promise.withResolvers<void>();
  host.onState((state) => (state.subscribed ? subscribed.resolve() : undefined));
  host.subscribe(['spBv1.0/acme/#'], (topic, raw) => {
    const [, , type = '', , device = '-'] = topic.split('/');
    heard.push({ type, device, raw, payload: decodeSparkplug(raw) });
  });
  host.start();
  await subscribed.promise;
  const events = new LiveEvents();
  const present = { readings };
  const never = () => Promise.reject(new Error('no alarm commands in this test'));
  const alarms: AlarmCommands = { restored: true, list: () => [], acknowledge: never, shelve: never, unshelve: never };
  const config = sparkplugPublishSchema.parse({ url: broker.url, protocolVersion: '3.1.1', group: 'acme', tags });
  const board = { watches: () => [], tags: () => present.readings };
  const node = new SparkplugEdgeNode({ agentId: 'edge-01', config, events, board, alarms, deps: testDeps() });
  stack.use(node);
  node.start();
  const change = (...changed: readonly TagReading[]) => events.emit({ type: 'tags', tags: changed });
  return { node, heard, present, change, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

const plant = [
  reading('pump-1.pressure', 3.5),
  reading('pump-1.flow.mean', undefined, 'bad'),
  reading('press.force', 12, 'uncertain'),
  reading('ambient', 21),
];

function content({ payload }: Heard) {
  return payload.metrics.map(({ name, alias, value, quality }) => [
    name ?? alias,
    'value' in value ? value.value : null,
    quality,
  ]);
}

test('tags are metrics of a device for each asset, born after the edge node, with aliases', async () => {
  await using agent = await bench(plant);
  await agent.heard.count(4);
  const births = agent.heard.items;
  expect(births.map(({ type, device, payload }) => [type, device, payload.sequence])).toEqual([
    ['NBIRTH', '-', 0],
    ['DBIRTH', 'pump-1', 1],
    ['DBIRTH', 'press', 2],
    ['DBIRTH', 'tags', 3],
  ]);
  expect(births.slice(1).map(content)).toEqual([
    [
      ['pressure', 3.5, 192],
      ['flow.mean', null, 0],
    ],
    [['force', 12, 0]],
    [['ambient', 21, 192]],
  ]);
  const aliases = births.slice(1).flatMap(({ payload }) => payload.metrics.map(({ alias }) => alias));
  expect([...new Set(aliases)]).toHaveLength(4);
});

test('data has only what changed in value or quality, by alias and without name and datatype', async () => {
  await using agent = await bench(plant);
  await agent.heard.count(4);
  agent.change(reading('pump-1.pressure', 3.5), reading('ambient', 21));
  agent.change(reading('pump-1.pressure', 3.6), reading('pump-1.flow.mean', 1), reading('ambient', 21, 'bad'));
  await agent.heard.count(6);
  const data = agent.heard.items.slice(4);
  expect(data.map(({ type, device, payload }) => [type, device, payload.sequence])).toEqual([
    ['DDATA', 'pump-1', 4],
    ['DDATA', 'tags', 5],
  ]);
  expect(data.map(content)).toEqual([
    [
      [1, 3.6, 192],
      [2, 1, 192],
    ],
    [[4, null, 0]],
  ]);
  expect(data.flatMap(({ payload }) => payload.metrics.map(({ name, dataType }) => name ?? dataType))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('only chosen tags are published', async () => {
  await using agent = await bench(plant, ['ambient']);
  await agent.heard.count(2);
  agent.change(reading('pump-1.pressure', 9), reading('ambient', 22));
  await agent.heard.count(3);
  expect(agent.heard.items.map(({ type, device }) => [type, device])).toEqual([
    ['NBIRTH', '-'],
    ['DBIRTH', 'tags'],
    ['DDATA', 'tags'],
  ]);
});

test('a new tag causes new births, and a device without tags gets its death before them', async () => {
  await using agent = await bench(plant.slice(0, 3));
  await agent.heard.count(3);
  agent.present.readings = [...plant.slice(0, 2), reading('oven.heat', 180)];
  agent.change(reading('oven.heat', 180));
  await agent.heard.count(7);
  expect(agent.heard.items.slice(3).map(({ type, device, payload }) => [type, device, payload.sequence])).toEqual([
    ['DDEATH', 'press', 3],
    ['NBIRTH', '-', 0],
    ['DBIRTH', 'pump-1', 1],
    ['DBIRTH', 'oven', 2],
  ]);
});

test('a device whose tags all cannot be read gets its death, and its birth when one is read again', async () => {
  await using agent = await bench(plant);
  await agent.heard.count(4);
  const down = (tag: string) => ({ ...reading(tag, undefined, 'bad'), reason: 'link-down' as const });
  agent.change(down('pump-1.pressure'));
  agent.change(down('pump-1.flow.mean'), down('ambient'));
  await agent.heard.count(7);
  agent.change(reading('ambient', 20), reading('press.force', 13));
  await agent.heard.count(9);
  const after = agent.heard.items.slice(4);
  expect(after.map(({ type, device, payload }) => [type, device, payload.sequence])).toEqual([
    ['DDATA', 'pump-1', 4],
    ['DDEATH', 'pump-1', 5],
    ['DDEATH', 'tags', 6],
    ['DBIRTH', 'tags', 7],
    ['DDATA', 'press', 8],
  ]);
  expect(after.slice(1, 4).map(content)).toEqual([[], [], [['ambient', 20, 192]]]);
});

test('a device that cannot be read at the birth of the edge node is born when it is read', async () => {
  const down = { ...reading('oven.heat', undefined, 'bad'), reason: 'timeout' as const };
  await using agent = await bench([down, reading('ambient', 21)]);
  await agent.heard.count(2);
  agent.change(reading('oven.heat', 180));
  await agent.heard.count(3);
  expect(agent.heard.items.map(({ type, device }) => [type, device])).toEqual([
    ['NBIRTH', '-'],
    ['DBIRTH', 'tags'],
    ['DBIRTH', 'oven'],
  ]);
});

test('a tag without a point and one of an asset with the name of its device have different metrics', async () => {
  await using agent = await bench([reading('a', 1), reading('tags.a', 2), reading('tags.a.b', 3)]);
  await agent.heard.count(2);
  expect(agent.heard.items.slice(1).map(content)).toEqual([
    [
      ['a', 1, 192],
      ['tags.a', 2, 192],
      ['tags.a.b', 3, 192],
    ],
  ]);
});

const python = pythonWith('pysparkplug', 'pysparkplug');
describeWith([python], 'pysparkplug', () => {
  test('reads births of devices, and data by alias', async () => {
    await using agent = await bench(plant.slice(0, 3));
    await agent.heard.count(3);
    agent.change(reading('pump-1.pressure', 4.25), reading('press.force', undefined, 'bad'));
    await agent.heard.count(5);
    const lines = agent.heard.items.map(({ type, device, raw }) => `${type} ${device} ${raw.toString('hex')}\n`);
    const program = join(import.meta.dirname, '../../support/sparkplug-peer.py');
    const output = execFileSync(python, [program, 'devices'], {
      input: lines.join(''),
      encoding: 'utf8',
      cwd: tmpdir(),
    });
    const read = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(read.slice(1)).toEqual([
      { seq: 1, metrics: { pressure: ['DOUBLE', 3.5], 'flow.mean': ['DOUBLE', null] } },
      { seq: 2, metrics: { force: ['DOUBLE', 12] } },
      { seq: 3, metrics: { pressure: ['DOUBLE', 4.25] } },
      { seq: 4, metrics: { force: ['DOUBLE', null] } },
    ]);
  });
});
