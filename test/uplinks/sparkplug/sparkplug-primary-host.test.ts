import { afterEach, expect, test } from 'vitest';
import type { AlarmCommands } from '../../../src/contracts/alarm-commands.ts';
import { LiveEvents, type TagReading } from '../../../src/contracts/live-events.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { decodeSparkplug, type SparkplugPayload } from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { SparkplugEdgeNode } from '../../../src/uplinks/sparkplug/sparkplug-edge-node.ts';
import { sparkplugPublishSchema } from '../../../src/uplinks/sparkplug/sparkplug-publish-config.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { FaultyLine } from '../../support/contract-line.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

const TIME_MS = 1_780_000_000_000;
const stack: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of stack.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

function own<T extends AsyncDisposable>(resource: T): T {
  stack.push(resource);
  return resource;
}

type Received = { readonly type: string; readonly device: string; readonly payload: SparkplugPayload };

function reading(value: number): TagReading {
  return { tag: 'ambient', value, unit: '', timestampMs: TIME_MS + value, quality: 'good', reason: 'none' };
}

/** An agent whose primary host is 'scada', and a host on its broker. */
async function line(url: string, settings: object = {}) {
  const connection = own(new MqttConnection(brokerOptions(url, { protocolVersion: 4 }), testDeps()));
  const received = new Recorder<Received>();
  const subscribed = Promise.withResolvers<void>();
  connection.onState((state) => (state.subscribed ? subscribed.resolve() : undefined));
  connection.subscribe(['spBv1.0/acme/#'], (topic, raw) => {
    const [, , type = '', , device = '-'] = topic.split('/');
    received.push({ type, device, payload: decodeSparkplug(raw) });
  });
  connection.start();
  await subscribed.promise;
  const state = (payload: unknown, host = 'scada') =>
    connection.publish(`spBv1.0/STATE/${host}`, typeof payload === 'string' ? payload : JSON.stringify(payload), {
      qos: 1,
      retain: true,
      timeoutMs: 10_000,
    });
  const events = new LiveEvents();
  const deps = testDeps();
  const never = () => Promise.reject(new Error('no alarm commands in this test'));
  const alarms: AlarmCommands = { restored: true, list: () => [], acknowledge: never, shelve: never, unshelve: never };
  const config = sparkplugPublishSchema.parse({
    url,
    protocolVersion: '3.1.1',
    group: 'acme',
    tags: true,
    primaryHost: 'scada',
    reconnectMin: '20ms',
    reconnectMax: '100ms',
    ...settings,
  });
  let current = reading(0);
  const board = { watches: () => [], tags: () => [current] };
  own(new SparkplugEdgeNode({ agentId: 'edge-01', config, events, board, alarms, deps })).start();
  const change = (value: number) => {
    current = reading(value);
    events.emit({ type: 'tags', tags: [current] });
  };
  const health = () => deps.health.components()[0];
  const waits = async () => {
    await expect.poll(health).toMatchObject({ status: 'degraded', code: 'sparkplug-host-offline' });
  };
  return { state, change, received, health, waits, deps };
}

const types = ({ items }: Recorder<Received>) => items.map(({ type }) => type);
const invalid = (deps: ReturnType<typeof testDeps>) =>
  metricValue(deps, 'andon_sparkplug_dropped_total{code="host-state-invalid"}');

test('no birth before the primary host is online; another host, another case and an invalid state do not count', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const { state, received, waits, deps } = await line(broker.url);
  await waits();
  await state({ online: true, timestamp: 1 }, 'other');
  await state({ online: true, timestamp: 1 }, 'SCADA');
  await state('ONLINE');
  await state({ online: 'true', timestamp: 1 });
  await state({ online: true });
  await state({ online: false, timestamp: 5 });
  await expect.poll(() => invalid(deps)).toBe(3);
  expect(types(received)).toEqual([]);
  await state({ online: true, timestamp: 5 });
  await received.count(2);
  expect(types(received)).toEqual(['NBIRTH', 'DBIRTH']);
});

test('the retained state of a host that is already online is enough', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const first = await line(broker.url, { edgeNode: 'edge-00' });
  await first.state({ online: true, timestamp: 5 });
  await first.received.count(2);
  const second = await line(broker.url);
  await second.received.count(2);
  await expect.poll(second.health).toMatchObject({ status: 'ok' });
});

test('a host that goes offline gets a death at once; changes follow the next birth as historical, with their times', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const { state, change, received, waits } = await line(broker.url);
  await state({ online: true, timestamp: 10 });
  await received.count(2);
  // The will of an earlier connection of the host.
  await state({ online: false, timestamp: 9 });
  change(1);
  await received.count(3);
  await state({ online: false, timestamp: 11 });
  await received.count(4);
  await waits();
  for (const value of [2, 3, 3, 4]) change(value);
  await state({ online: true, timestamp: 12 });
  await received.count(7);
  expect(types(received)).toEqual(['NBIRTH', 'DBIRTH', 'DDATA', 'NDEATH', 'NBIRTH', 'DBIRTH', 'DDATA']);
  const [birth, , data, death, second, , late] = received.items.map(({ payload }) => payload);
  const bdSeq = (payload: SparkplugPayload | undefined) => payload?.metrics.find(({ name }) => name === 'bdSeq')?.value;
  expect([bdSeq(birth), bdSeq(death), bdSeq(second)]).toEqual([
    { kind: 'long', value: 0n },
    { kind: 'long', value: 0n },
    { kind: 'long', value: 1n },
  ]);
  expect(data?.metrics).toMatchObject([{ isHistorical: false, value: { value: 1 } }]);
  expect(late?.sequence).toBe(2);
  expect(late?.metrics).toMatchObject(
    [2, 3, 4].map((value) => ({ alias: 1, isHistorical: true, timestamp: TIME_MS + value, value: { value } })),
  );
});

test('the oldest changes are dropped and counted if more than keep wait', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const { state, change, received, waits, deps } = await line(broker.url, { keep: 20 });
  await waits();
  for (let value = 1; value <= 30; value += 1) change(value);
  await state({ online: true, timestamp: 1 });
  await received.count(3);
  const late = received.items[2]?.payload.metrics.map(({ timestamp = 0 }) => timestamp - TIME_MS) ?? [];
  const dropped = await metricValue(deps, 'andon_sparkplug_missed_dropped_total');
  expect(late).toEqual(Array.from({ length: 30 - dropped }, (_, index) => index + 1 + dropped));
  expect(late.length).toBeLessThanOrEqual(20);
  expect(late.length).toBeGreaterThanOrEqual(18);
});

test('changes while the broker is away are historical too', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  await using way = await FaultyLine.to(broker.port);
  await way.begin();
  const { state, change, received, health } = await line(broker.url, {
    url: `mqtt://127.0.0.1:${way.port}`,
  });
  await state({ online: true, timestamp: 1 });
  await received.count(2);
  await way.end();
  await expect.poll(health).toMatchObject({ status: 'degraded' });
  change(7);
  await way.begin();
  await received.count(6);
  expect(types(received)).toEqual(['NBIRTH', 'DBIRTH', 'NDEATH', 'NBIRTH', 'DBIRTH', 'DDATA']);
  expect(received.items[5]?.payload.metrics).toMatchObject([{ isHistorical: true, value: { value: 7 } }]);
});

describeWith(['mosquitto'], 'a primary host on mosquitto with MQTT 5', () => {
  test('gets one death when it goes offline, and a birth with the next number', async () => {
    const mosquitto = own(await Mosquitto.start());
    const { state, change, received, waits } = await line(mosquitto.url, { protocolVersion: '5' });
    await state({ online: true, timestamp: 1 });
    await received.count(2);
    await state({ online: false, timestamp: 2 });
    await received.count(3);
    await waits();
    change(5);
    await state({ online: true, timestamp: 3 });
    await received.count(6);
    expect(types(received)).toEqual(['NBIRTH', 'DBIRTH', 'NDEATH', 'NBIRTH', 'DBIRTH', 'DDATA']);
  });
});
