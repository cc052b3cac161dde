import { afterEach, describe, expect, test } from 'vitest';
import type { SampleBatch } from '../../../src/domain/sample/sample-batch.ts';
import { qualityOf, reasonOf } from '../../../src/domain/sample/quality.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../../../src/sources/mqtt/mqtt-source.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { publishPacket, RawBroker } from '../../support/broker-raw.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { plainSource } from '../../support/source-context.ts';
import { programPath } from '../../support/programs.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

type Sample = { tag: string; value: number; timeMs: number; quality: string; reason: string };
type Batch = readonly Sample[];

let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

/** A source named `cell`, with all its batches. */
function sourceOf(url: string, tags: Record<string, Record<string, unknown>>, settings: Record<string, unknown> = {}) {
  const deps = testDeps();
  const config = mqttKind.schema.parse({
    type: 'mqtt',
    url,
    reconnectMin: '20ms',
    reconnectMax: '100ms',
    ...settings,
    tags,
  });
  const names = Object.keys(tags);
  const batches = new Recorder<Batch>();
  const tagNumbers = new Map(names.map((name, number) => [name, number]));
  const sink = { accept: (batch: SampleBatch) => batches.push(samplesOf(batch, names)) };
  const source = own(new MqttSource({ id: 'cell', config, tagNumbers, sink, ...plainSource, deps }));
  const health = () => deps.health.components().find(({ name }) => name === 'source/cell');
  return { source, batches, deps, health };
}

function samplesOf(batch: SampleBatch, names: readonly string[]): Batch {
  return Array.from({ length: batch.length }, (_, index) => ({
    tag: names[batch.tags[index] ?? -1] ?? '?',
    value: batch.values[index] ?? Number.NaN,
    timeMs: batch.timesMs[index] ?? Number.NaN,
    quality: qualityOf(batch.qualities[index] ?? 2),
    reason: reasonOf(batch.reasons[index] ?? 0),
  }));
}

async function publisher(url: string) {
  const connection = own(new MqttConnection(brokerOptions(url), testDeps()));
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.onState(({ connected }) => {
    if (connected) resolve();
  });
  connection.start();
  await promise;
  return (topic: string, payload: string, retain = false) =>
    connection.publish(topic, payload, { qos: 1, retain, timeoutMs: 10_000 });
}

/** Publishes until a value arrives, because the source subscribes later. */
async function whenFlowing(batches: Recorder<Batch>, publish: () => Promise<void>, from = 0): Promise<void> {
  const isThere = () => batches.items.slice(from).some((batch) => batch[0]?.quality === 'good');
  while (!isThere()) {
    await publish();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const tags = {
  rms: { topic: 'pump/vibration', value: '$.rms', time: '$.t' },
  peak: { topic: 'pump/vibration', value: '$.peak', time: '$.t' },
  speed: { topic: 'pump/speed', qos: 0 },
};

const brokers: readonly (readonly [
  string,
  (port?: number) => Promise<AsyncDisposable & { url: string; port: number }>,
])[] = [
  ['the embedded broker', (port = 0) => MqttBroker.listen({ port })],
  ...(programPath('mosquitto') === undefined ? [] : [['mosquitto', (port = 0) => Mosquitto.start({ port })] as const]),
];

describe.each(brokers)('a source on %s', (_name, startBroker) => {
  test('gives one batch for each message, with all tags of its topic', async () => {
    const broker = own(await startBroker());
    const { source, batches, health } = sourceOf(broker.url, tags);
    source.start();
    const publish = await publisher(broker.url);
    await whenFlowing(batches, () => publish('pump/speed', '1480'));
    const timeMs = Date.now() - 1000;
    await publish('pump/vibration', JSON.stringify({ rms: 2.5, peak: 7, t: timeMs }));
    const batch = await batches.when(([first]) => first?.tag === 'rms');
    expect(batch).toEqual([
      { tag: 'rms', value: 2.5, timeMs, quality: 'good', reason: 'none' },
      { tag: 'peak', value: 7, timeMs, quality: 'good', reason: 'none' },
    ]);
    expect(health()).toMatchObject({ status: 'ok', reason: '' });
  });

  test('the loss of the broker makes every tag bad once, and its return makes them good again', async () => {
    const broker = await startBroker();
    const { source, batches, health } = sourceOf(broker.url, tags);
    source.start();
    const publish = await publisher(broker.url);
    await whenFlowing(batches, () => publish('pump/speed', '1480'));
    const before = batches.items.length;
    await broker[Symbol.asyncDispose]();
    const lost = await batches.when(([first]) => first?.reason === 'link-down', before);
    expect(lost.map(({ tag, quality, reason }) => [tag, quality, reason])).toEqual(
      ['rms', 'peak', 'speed'].map((tag) => [tag, 'bad', 'link-down']),
    );
    expect(health()?.status).toBe('degraded');
    expect(health()?.reason).toMatch(/; next attempt in 0\.\d s$/);

    own(await startBroker(broker.port));
    const publishAgain = await publisher(broker.url);
    await whenFlowing(batches, () => publishAgain('pump/speed', '1490'), before);
    const reports = batches.items.slice(before).filter(([first]) => first?.reason === 'link-down');
    expect(reports).toHaveLength(1);
    expect(health()?.status).toBe('ok');
  });

  test('a retained message has the time of its payload; without one its age is unknown', async () => {
    const broker = own(await startBroker());
    const publish = await publisher(broker.url);
    const timeMs = Date.UTC(2026, 0, 1);
    await publish('pump/vibration', JSON.stringify({ rms: 1, peak: 2, t: timeMs }), true);
    await publish('pump/speed', '1480', true);
    const { source, batches } = sourceOf(broker.url, tags);
    source.start();
    const vibration = await batches.when(([first]) => first?.tag === 'rms');
    const speed = await batches.when(([first]) => first?.tag === 'speed');
    expect(vibration[0]).toMatchObject({ timeMs, quality: 'good' });
    expect(speed[0]).toMatchObject({ value: 1480, quality: 'uncertain', reason: 'time-invalid' });
  });
});

describe('a source', () => {
  test('is degraded with the reason if the broker is unreachable at the start, and its tags are bad', async () => {
    const { source, batches, health } = sourceOf('mqtt://127.0.0.1:1', tags);
    source.start();
    await batches.when(([first]) => first?.reason === 'link-down');
    expect(health()?.status).toBe('degraded');
    expect(health()?.reason).toContain('ECONNREFUSED');
  });

  test('an invalid payload makes only its own tag bad, is counted, and is named in health', async () => {
    const broker = own(await MqttBroker.listen({ port: 0 }));
    const { source, batches, deps, health } = sourceOf(broker.url, tags);
    source.start();
    const publish = await publisher(broker.url);
    await whenFlowing(batches, () => publish('pump/speed', '1480'));
    for (let index = 0; index < 3; index += 1) await publish('pump/vibration', '{"rms": 2.5');
    await publish('pump/speed', '1481');
    await batches.when(([first]) => first?.value === 1481);
    const invalid = batches.items.find(([first]) => first?.tag === 'rms');
    expect(invalid?.map(({ quality, reason }) => `${quality} ${reason}`)).toEqual([
      'bad payload-invalid',
      'bad payload-invalid',
    ]);
    expect(health()).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('pump/vibration: rms: the payload is not JSON: ') as string,
    });
    const counted = 'andon_mqtt_message_faults_total{source="cell",reason="payload-invalid"}';
    expect(await metricValue(deps, counted)).toBe(3);
  });

  test('alternating valid and invalid payloads do not make health flicker', async () => {
    const clock = new FakeClock();
    const deps = testDeps(clock);
    const broker = own(await RawBroker.listen());
    const config = mqttKind.schema.parse({
      type: 'mqtt',
      url: broker.url,
      protocolVersion: '3.1.1',
      tags: { speed: { topic: 'pump/speed' } },
    });
    const batches = new Recorder<Batch>();
    const sink = { accept: (batch: SampleBatch) => batches.push(samplesOf(batch, ['speed'])) };
    const source = own(
      new MqttSource({ id: 'cell', config, tagNumbers: new Map([['speed', 0]]), sink, ...plainSource, deps }),
    );
    source.start();
    await broker.whenReceived('subscribe');
    const seen: unknown[] = [];
    for (const payload of ['1', 'x', '2', 'x', '3']) {
      broker.send(publishPacket('pump/speed', payload));
      await batches.count(seen.length + 1);
      seen.push(deps.health.components()[0]?.status);
    }
    expect(seen).toEqual(['ok', 'degraded', 'degraded', 'degraded', 'degraded']);
    await clock.advance(9000);
    expect(deps.health.components()[0]?.reason).toBe(
      'pump/speed: speed: expected a number, found "x"; map gives texts a number',
    );
    await clock.advance(2000);
    expect(deps.health.components()[0]).toMatchObject({ status: 'ok', reason: '' });
  });

  test('a topic that the broker refuses makes only its own tags bad', async () => {
    const broker = own(await MqttBroker.listen({ port: 0 }));
    broker.aedes.authorizeSubscribe = (_client, subscription, done) =>
      done(null, subscription.topic === 'pump/vibration' ? null : subscription);
    const { source, batches, health } = sourceOf(broker.url, tags);
    source.start();
    const refused = await batches.when(([first]) => first?.reason === 'refused');
    expect(refused.map(({ tag, quality }) => `${tag} ${quality}`)).toEqual(['rms bad', 'peak bad']);
    expect(health()?.status).toBe('degraded');
    expect(health()?.reason).toContain('refused the subscription to pump/vibration');
    const publish = await publisher(broker.url);
    await whenFlowing(batches, () => publish('pump/speed', '1480'), batches.items.length);
  });

  test('after disposal nothing reaches the sink, although the broker continues to send', async () => {
    const broker = own(await RawBroker.listen());
    const { source, batches } = sourceOf(broker.url, { speed: { topic: 'pump/speed' } }, { protocolVersion: '3.1.1' });
    source.start();
    await broker.whenReceived('subscribe');
    broker.send(publishPacket('pump/speed', '1'));
    await batches.count(1);
    const disposed = source[Symbol.asyncDispose]();
    broker.send(publishPacket('pump/speed', '2'));
    await disposed;
    await source[Symbol.asyncDispose]();
    expect(batches.items).toHaveLength(1);
  });

  test('updates its heartbeat while the broker is silent', async () => {
    const clock = new FakeClock();
    const broker = own(await RawBroker.listen());
    const config = mqttKind.schema.parse({ type: 'mqtt', url: broker.url, tags: { speed: { topic: 's' } } });
    const context = { id: 'cell', config, tagNumbers: new Map([['speed', 0]]), sink: { accept: () => undefined } };
    const source = own(new MqttSource({ ...context, ...plainSource, deps: testDeps(clock) }));
    source.start();
    const before = source.lastTickMs();
    await clock.advance(2500);
    expect(source.lastTickMs()).toBeGreaterThanOrEqual(before + 2000);
    await source[Symbol.asyncDispose]();
    expect(clock.timers).toBe(0);
  });
});

describe('the configuration of a source', () => {
  const issues = (settings: Record<string, unknown>, tag: Record<string, unknown> = {}) => {
    const input = { type: 'mqtt', url: 'mqtt://b', ...settings, tags: { t: { topic: 'a', ...tag } } };
    return mqttKind.schema.safeParse(input).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };

  test('requires only a broker and a topic', () => {
    expect(issues({})).toBeUndefined();
  });

  test.each([
    ['a wildcard', {}, { topic: 'a/+/b' }, 'tags.t.topic: must be one topic, without + and #'],
    ['a control character', {}, { topic: 'a\u001b[2J' }, 'tags.t.topic: must not contain control characters'],
    ['a path with a fault', {}, { value: '$.a[' }, 'tags.t.value: expected a JSONPath such as $.rms'],
    ['a range upside down', {}, { range: [5, 1] }, 'tags.t.range: expected [smallest, largest]'],
    ['a scheme that is not MQTT', { url: 'http://b' }, {}, 'url: expected mqtt://host:port'],
    ['a password in the url', { url: 'mqtt://u:p@b' }, {}, 'url: user and password must not be in the url'],
    ['a kept session without a name', { cleanSession: false }, {}, 'clientId: cleanSession: false requires a clientId'],
    ['a key without its certificate', { tls: { key: 'k' } }, {}, 'tls: cert and key must be set together'],
  ])('%s is refused', (_what, settings, tag, message) => {
    expect(issues(settings, tag)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ['a topic', (text: string) => issues({}, { topic: text }), 'tags.t.topic'],
    ['a client id', (text: string) => issues({ clientId: text }), 'clientId'],
  ])('%s has at most 65535 bytes, even if it has fewer characters', (_what, issuesOf, path) => {
    expect(issuesOf(`a${'°'.repeat(32_767)}`)).toBeUndefined();
    expect(issuesOf('°'.repeat(32_768))).toEqual([`${path}: must have 65535 bytes or less in UTF-8`]);
  });
});
