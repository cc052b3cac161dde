import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AlarmCommands } from '../../../src/contracts/alarm-commands.ts';
import { LiveEvents } from '../../../src/contracts/live-events.ts';
import type { WatchStatuses } from '../../../src/contracts/watch-statuses.ts';
import { type AlarmTransition, normalFacts } from '../../../src/domain/alarm/alarm.ts';
import type { Verdict } from '../../../src/domain/alarm/verdict.ts';
import type { Deps } from '../../../src/platform/deps.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import {
  dataTypes,
  decodeSparkplug,
  encodeSparkplug,
  type SparkplugPayload,
} from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { SparkplugEdgeNode } from '../../../src/uplinks/sparkplug/sparkplug-edge-node.ts';
import { sparkplugPublishSchema } from '../../../src/uplinks/sparkplug/sparkplug-publish-config.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

const TIME_MS = 1_780_000_000_000;
let broker: MqttBroker;
let opened: AsyncDisposable[] = [];

beforeEach(async () => {
  broker = own(await MqttBroker.listen({ port: 0 }));
});

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const topicsSaid = ['NBIRTH', 'NDATA', 'NDEATH'].map((type) => `spBv1.0/acme/${type}/edge-01`);
const verdict: Verdict = {
  watch: 'pump-1',
  timestampMs: TIME_MS,
  verdict: 'abnormal',
  score: 0.9,
  threshold: 0.5,
  reason: undefined,
  judgedBy: undefined,
  contributions: [],
};
const alarm: AlarmTransition = {
  alarm: 'watch/pump-1',
  watch: 'pump-1',
  number: 1,
  state: 'unacknowledged',
  previous: 'normal',
  priority: 'high',
  cause: 'score-above-threshold',
  message: 'Vibration is up',
  parameters: {},
  by: undefined,
  timestampMs: TIME_MS,
  score: 0.9,
  facts: { ...normalFacts, active: true, acknowledged: false },
};

/** A host application on the same broker, with all messages of the edge node. */
async function host(url = broker.url) {
  const connection = own(new MqttConnection(brokerOptions(url, { protocolVersion: 4 }), testDeps()));
  const said = new Recorder<{ type: string; payload: SparkplugPayload }>();
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.onState(({ subscribed }) => (subscribed ? resolve() : undefined));
  connection.subscribe(topicsSaid, (topic, payload) =>
    said.push({ type: topic.split('/')[2] ?? '', payload: decodeSparkplug(payload) }),
  );
  connection.start();
  await promise;
  const when = (type: string, from = 0) => said.when((message) => message.type === type, from);
  return { connection, said, when };
}

function edgeNode(url = broker.url, protocolVersion = '3.1.1') {
  const events = new LiveEvents();
  const deps = testDeps();
  const overview = {
    watch: 'pump-1',
    model: 'pump-anomaly',
    location: undefined,
    abnormal: 'above' as const,
    normalRanges: [],
    tags: [],
    stepMs: 1000,
    hopMs: 1000,
    alarmState: undefined,
    lastVerdict: undefined,
    drift: new Map(),
    rollout: undefined,
  };
  const board: WatchStatuses = { watches: () => [overview], tags: () => [] };
  const never = () => Promise.reject(new Error('no alarm commands in this test'));
  const alarms: AlarmCommands = {
    restored: true,
    list: () => [alarm],
    acknowledge: never,
    shelve: never,
    unshelve: never,
  };
  const config = sparkplugPublishSchema.parse({
    url,
    protocolVersion,
    group: 'acme',
    reconnectMin: '20ms',
    reconnectMax: '100ms',
  });
  const node = own(new SparkplugEdgeNode({ agentId: 'edge-01', config, events, board, alarms, deps }));
  node.start();
  return { node, events, deps };
}

const received = (deps: Deps) => metricValue(deps, 'andon_mqtt_received_total{connection="sparkplug"}');

const valuesOf = ({ metrics }: SparkplugPayload) =>
  Object.fromEntries(metrics.map(({ name, value }) => [name, 'value' in value ? value.value : null]));

describe('the agent as an edge node', () => {
  test('has every metric in its birth', async () => {
    const { when } = await host();
    const { deps } = edgeNode();
    const { payload } = await when('NBIRTH');
    expect(payload.sequence).toBe(0);
    expect(valuesOf(payload)).toEqual({
      bdSeq: 0n,
      'Node Control/Rebirth': false,
      'pump-1/Verdict': 'unknown',
      'pump-1/Score': null,
      'pump-1/Threshold': null,
      'pump-1/Reason': 'no verdict yet',
      'pump-1/Alarm/State': 'unacknowledged',
      'pump-1/Alarm/Active': true,
      'pump-1/Alarm/Priority': 'high',
      'pump-1/Alarm/Message': 'Vibration is up',
    });
    await expect.poll(() => deps.health.components()[0]).toMatchObject({ name: 'sparkplug', status: 'ok' });
  });

  test('sends each verdict and each change of an alarm, in a sequence without gaps', async () => {
    const { said, when } = await host();
    const { events } = edgeNode();
    await when('NBIRTH');
    events.emit({ type: 'verdict', verdict, id: '1' });
    events.emit({ type: 'alarm', transition: { ...alarm, state: 'acknowledged' }, id: '2' });
    for (let count = 0; count < 300; count += 1)
      events.emit({ type: 'verdict', verdict: { ...verdict, score: count }, id: `${count}` });
    await said.count(303);
    expect(said.items.map(({ payload }) => payload.sequence)).toEqual(
      Array.from({ length: 303 }, (_, index) => index % 256),
    );
    const [, judged, changed] = said.items.map(({ payload }) => valuesOf(payload));
    expect(judged).toMatchObject({ 'pump-1/Verdict': 'abnormal', 'pump-1/Score': 0.9, 'pump-1/Threshold': 0.5 });
    expect(changed).toMatchObject({ 'pump-1/Alarm/State': 'acknowledged' });
  });

  test('sends only the metrics that changed, without a datatype', async () => {
    const { said, when } = await host();
    const { events } = edgeNode();
    await when('NBIRTH');
    events.emit({ type: 'verdict', verdict, id: '1' });
    events.emit({ type: 'verdict', verdict, id: '2' });
    events.emit({ type: 'verdict', verdict: { ...verdict, verdict: 'unknown', score: undefined }, id: '3' });
    await said.count(3);
    const [first, second] = said.items.slice(1).map(({ payload }) => payload);
    expect(first && valuesOf(first)).toEqual({
      'pump-1/Verdict': 'abnormal',
      'pump-1/Score': 0.9,
      'pump-1/Threshold': 0.5,
      'pump-1/Reason': '',
    });
    expect(second && valuesOf(second)).toEqual({ 'pump-1/Verdict': 'unknown', 'pump-1/Score': null });
    expect([first, second].flatMap((payload) => payload?.metrics.map(({ dataType }) => dataType))).toEqual(
      Array.from({ length: 6 }),
    );
    expect(second?.sequence).toBe(2);
  });

  test('sends a new birth when a host requests it, one for many requests', async () => {
    const { connection, said, when } = await host();
    const { deps, events } = edgeNode();
    await when('NBIRTH');
    const command = { name: 'Node Control/Rebirth', timestampMs: TIME_MS, dataType: dataTypes.Boolean, value: true };
    const ask = (payload: Uint8Array) =>
      connection.publish('spBv1.0/acme/NCMD/edge-01', Buffer.from(payload), {
        qos: 1,
        retain: false,
        timeoutMs: 10_000,
      });
    await ask(Buffer.from('{"rebirth":true}'));
    await ask(encodeSparkplug(TIME_MS, undefined, [{ ...command, value: false }]));
    for (let count = 0; count < 10; count += 1) await ask(encodeSparkplug(TIME_MS, undefined, [command]));
    // The request is under way until the birth, which has the values of this time.
    await expect.poll(() => received(deps)).toBe(12);
    events.emit({ type: 'verdict', verdict, id: '1' });
    const { payload } = await when('NBIRTH', 1);
    expect(said.items.map(({ type }) => type)).toEqual(['NBIRTH', 'NBIRTH']);
    expect(payload.sequence).toBe(0);
    expect(payload.metrics[0]).toMatchObject({ name: 'bdSeq', dataType: dataTypes.Int64, value: { value: 0n } });
    expect(said.items.filter(({ type }) => type === 'NBIRTH')).toHaveLength(2);
  });

  test('sends a death with the number of its birth when it stops', async () => {
    const { when } = await host();
    const { node } = edgeNode();
    await when('NBIRTH');
    await node[Symbol.asyncDispose]();
    const { payload } = await when('NDEATH');
    expect(payload.sequence).toBeUndefined();
    expect(valuesOf(payload)).toEqual({ bdSeq: 0n });
  });

  test('the broker publishes its death after a cut line, and the next birth has the next number', async () => {
    const { when, said } = await host();
    const client = new Promise<{ close(): void }>((resolve) => broker.aedes.once('client', resolve));
    edgeNode();
    await when('NBIRTH');
    const from = said.items.length;
    (await client).close();
    const { payload: death } = await when('NDEATH', from);
    const { payload: birth } = await when('NBIRTH', from);
    expect([valuesOf(death)['bdSeq'], valuesOf(birth)['bdSeq']]).toEqual([0n, 1n]);
  });
});

describeWith(['mosquitto'], 'the agent as an edge node on mosquitto with MQTT 5', () => {
  test('disconnects with its will, so that hosts receive one death', async () => {
    const mosquitto = own(await Mosquitto.start());
    const { said, when } = await host(mosquitto.url);
    const { node } = edgeNode(mosquitto.url, '5');
    await when('NBIRTH');
    await node[Symbol.asyncDispose]();
    const { payload } = await when('NDEATH');
    expect(valuesOf(payload)).toEqual({ bdSeq: 0n });
    // What the next edge node sends comes after everything of the first.
    edgeNode(mosquitto.url, '5');
    await when('NBIRTH', 2);
    expect(said.items.map(({ type }) => type)).toEqual(['NBIRTH', 'NDEATH', 'NBIRTH']);
  });
});
