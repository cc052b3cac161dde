import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { MqttConnectionOptions } from '../../../src/protocols/mqtt/mqtt-client-options.ts';
import { MqttConnection, type MqttState } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { TcpProxy } from '../../support/broker-proxy.ts';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { WebSocketBroker } from '../../support/broker-websocket.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith, programPath } from '../../support/programs.ts';
import { testDeps } from '../../support/test-deps.ts';

type Broker = AsyncDisposable & { readonly url: string; readonly port: number };
type BrokerKind = { start(port?: number): Promise<Broker>; end(broker: Broker): Promise<void> };

const embedded: BrokerKind = {
  start: (port = 0) => MqttBroker.listen({ port }),
  end: (broker) => broker[Symbol.asyncDispose]() as Promise<void>,
};
const mosquitto: BrokerKind = {
  start: (port = 0) => Mosquitto.start({ port }),
  end: async (broker) => {
    if (broker instanceof Mosquitto) await broker.kill();
  },
};

const deps = testDeps();
const publishing = { qos: 1, retain: false, timeoutMs: 10_000 } as const;
/** Resources that a test opened; closed in reverse order after it. */
let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

function connectTo(url: string, overrides: Partial<MqttConnectionOptions> = {}) {
  const connection = own(new MqttConnection(brokerOptions(url, overrides), deps));
  const states = new Recorder<MqttState>();
  connection.onState(states.push);
  return { connection, states };
}

/** A connection with everything that arrives on its topics. */
async function subscriber(url: string, topics: readonly string[], overrides: Partial<MqttConnectionOptions> = {}) {
  const { connection, states } = connectTo(url, overrides);
  const messages = new Recorder<{ topic: string; payload: string; retain: boolean }>();
  connection.subscribe(topics, (topic, payload, retain) =>
    messages.push({ topic, payload: payload.toString(), retain }),
  );
  connection.start();
  await states.when((state) => state.subscribed);
  return { connection, states, messages };
}

async function publisher(url: string, overrides: Partial<MqttConnectionOptions> = {}) {
  const { connection, states } = connectTo(url, overrides);
  connection.start();
  await states.when((state) => state.connected);
  return { connection, states };
}

const kinds: readonly (readonly [string, BrokerKind])[] = [
  ['the embedded broker', embedded],
  ...(programPath('mosquitto') === undefined ? [] : [['mosquitto', mosquitto] as const]),
];

describe.each(kinds)('a connection to %s', (_name, kind) => {
  test('publishes and receives, and marks retained messages', async () => {
    const broker = own(await kind.start());
    const { connection } = await publisher(broker.url);
    await connection.publish('cell/kept', 'old', { ...publishing, retain: true });
    const { messages } = await subscriber(broker.url, ['cell/kept', 'cell/live']);
    await connection.publish('cell/live', 'new', publishing);
    await messages.count(2);
    expect(messages.items).toEqual([
      { topic: 'cell/kept', payload: 'old', retain: true },
      { topic: 'cell/live', payload: 'new', retain: false },
    ]);
  });

  test('subscribes again after the broker was killed and restarted', async () => {
    const first = await kind.start();
    const { connection, states, messages } = await subscriber(first.url, ['a']);
    await kind.end(first);
    await states.when(({ reason }) => reason?.includes('ECONNREFUSED') === true);
    await expect(connection.publish('a', 'while away', publishing)).rejects.toMatchObject({
      code: 'mqtt-not-connected',
    });
    const before = states.items.length;
    own(await kind.start(first.port));
    await states.when((state) => state.subscribed, before);
    await connection.publish('a', 'back', publishing);
    await messages.when(({ payload }) => payload === 'back');
  });

  test('a burst of 10,000 messages arrives completely and in order, each acknowledged', async () => {
    const broker = own(await kind.start());
    const { messages } = await subscriber(broker.url, ['burst']);
    const { connection } = await publisher(broker.url);
    const number = 10_000;
    // 100 publishes are always in flight.
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let index = next++; index < number; index = next++)
        await connection.publish('burst', `${index}`, publishing);
    };
    await Promise.all(Array.from({ length: 100 }, lane));
    await messages.count(number);
    expect(messages.items.map(({ payload }) => Number(payload))).toEqual(Array.from({ length: number }, (_, i) => i));
  });

  test('a silent line ends the connection, which is made again when the line works', async () => {
    const broker = own(await kind.start());
    const proxy = own(await TcpProxy.listen(broker.port));
    const { connection, states } = await publisher(proxy.url, { keepaliveMs: 1000, connectTimeoutMs: 500 });
    proxy.die();
    const published = connection.publish('a', '1', publishing);
    await expect(published).rejects.toMatchObject({ code: 'mqtt-not-connected' });
    await states.when(({ reason }) => reason?.includes('did not answer the login') === true);
    const before = states.items.length;
    proxy.revive();
    await states.when((state) => state.connected, before);
    await connection.publish('a', '2', publishing);
  });

  test('the will is published if the connection breaks, and not after a DISCONNECT', async () => {
    const broker = own(await kind.start());
    const { messages } = await subscriber(broker.url, ['state']);
    const will = (payload: string) => ({ topic: 'state', payload, qos: 1 as const, retain: false });
    const polite = await publisher(broker.url, { will: will('polite') });
    await polite.connection[Symbol.asyncDispose]();
    const proxy = await TcpProxy.listen(broker.port);
    const lost = await publisher(proxy.url, { will: will('lost') });
    await proxy[Symbol.asyncDispose]();
    await lost.states.when(({ connected }) => !connected);
    await messages.count(1);
    expect(messages.items.map(({ payload }) => payload)).toEqual(['lost']);
  });

  test('a filter with wildcards receives every matching topic, and an exact topic has precedence', async () => {
    const broker = own(await kind.start());
    const { connection, states } = connectTo(broker.url);
    const taken = new Recorder<string>();
    connection.subscribe(['acme/+/speed', 'all/#'], (topic) => taken.push(`wild ${topic}`));
    connection.subscribe(['acme/pump-1/speed'], (topic) => taken.push(`own ${topic}`));
    connection.start();
    await states.when((state) => state.subscribed);
    for (const topic of ['acme/pump-2/speed', 'acme/pump-1/speed', 'all', 'all/a/b', 'acme/speed', 'acme/a/b/speed'])
      await connection.publish(topic, '1', publishing);
    await connection.publish('all/end', '1', publishing);
    await taken.when((text) => text === 'wild all/end');
    // Brokers may send a message once for each filter that matches it.
    expect([...new Set(taken.items)]).toEqual([
      'wild acme/pump-2/speed',
      'own acme/pump-1/speed',
      'wild all',
      'wild all/a/b',
      'wild all/end',
    ]);
  });

  test('a kept session delivers the messages that arrived while the client was disconnected', async () => {
    const broker = own(await kind.start());
    const session = { clientId: `kept-${crypto.randomUUID()}`, clean: false };
    const before = await subscriber(broker.url, ['kept'], session);
    await before.connection[Symbol.asyncDispose]();
    const { connection } = await publisher(broker.url);
    await connection.publish('kept', 'meanwhile', publishing);
    const { messages } = await subscriber(broker.url, ['kept'], session);
    await messages.count(1);
    expect(messages.items[0]).toMatchObject({ payload: 'meanwhile', retain: false });
  });
});

test('a broker behind a WebSocket is reached on its path, and its oversized message ends the connection', async () => {
  const broker = own(await WebSocketBroker.listen());
  const { messages, states } = await subscriber(`${broker.url}/mqtt?line=2`, ['a'], { maxMessageSizeBytes: 100_000 });
  const { connection } = await publisher(`${broker.url}/mqtt`);
  await connection.publish('a', 'x'.repeat(90_000), publishing);
  await messages.count(1);
  await connection.publish('a', 'x'.repeat(110_000), publishing);
  const { reason } = await states.when(({ connected }) => !connected);
  expect(reason).toMatch(/message of 1100\d\d bytes; maxMessageSize is 100000/);
  expect(broker.paths.slice(0, 2)).toEqual(['/mqtt?line=2', '/mqtt?line=2']);
});

test('a broker with MQTT 3.1.1 only gets MQTT 3.1.1, and no failure is reported', async () => {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const { connection, states } = await publisher(broker.url);
  expect(connection.protocolVersion).toBe(4);
  expect(states.items).toMatchObject([{ connected: true, reason: undefined }]);
});

describe('a broker that refuses', () => {
  test('a login is retried until the broker accepts it', async () => {
    const broker = own(await MqttBroker.listen({ port: 0 }));
    let allowed = false;
    broker.aedes.authenticate = (_client, username, password, done) => {
      done(null, allowed && username === 'andon' && password?.toString() === 'secret');
    };
    process.env['ANDON_TEST_MQTT_PASSWORD'] = 'secret';
    const { connection, states } = connectTo(broker.url, {
      username: 'andon',
      password: { env: 'ANDON_TEST_MQTT_PASSWORD' },
      protocolVersion: 4,
    });
    connection.start();
    await states.count(3);
    expect(states.items[2]?.reason).toContain('refused the login: Not authorized');
    allowed = true;
    await states.when((state) => state.connected);
  });

  test('a missing secret is retried and does not end the connection', async () => {
    const { connection, states } = connectTo('mqtt://127.0.0.1:1', {
      username: 'andon',
      password: { env: 'ANDON_TEST_MQTT_ABSENT' },
    });
    connection.start();
    await states.count(2);
    expect(states.items[1]?.reason).toBe('Environment variable ANDON_TEST_MQTT_ABSENT is not set or empty');
  });

  test('a subscription is named; the other topics continue', async () => {
    const broker = own(await MqttBroker.listen({ port: 0 }));
    broker.aedes.authorizeSubscribe = (_client, subscription, done) =>
      done(null, subscription.topic === 'secret' ? null : subscription);
    const { connection, states, messages } = await subscriber(broker.url, ['open', 'secret']);
    const state = states.items.at(-1);
    expect(state).toMatchObject({ connected: true, subscribed: true, refusedTopics: ['secret'] });
    expect(state?.reason).toContain('refused the subscription to secret');
    await connection.publish('open', '1', publishing);
    await messages.count(1);
  });
});

test('a topic is subscribed again later, without a reconnect', async () => {
  const clock = new FakeClock();
  const broker = own(await MqttBroker.listen({ port: 0 }));
  let allowed = false;
  broker.aedes.authorizeSubscribe = (_client, subscription, done) => done(null, allowed ? subscription : null);
  const connection = own(new MqttConnection(brokerOptions(broker.url, { protocolVersion: 4 }), testDeps(clock)));
  const states = new Recorder<MqttState>();
  connection.onState(states.push);
  connection.subscribe(['secret'], () => undefined);
  connection.start();
  await states.when(({ refusedTopics }) => refusedTopics.length === 1);
  allowed = true;
  const before = states.items.length;
  await clock.advance(60_000);
  await states.when(({ subscribed, refusedTopics }) => subscribed && refusedTopics.length === 0, before);
  expect(states.items.every(({ connected }) => connected)).toBe(true);
});

describeWith(['mosquitto'], 'a retained message over the limit, on mosquitto', () => {
  async function withLargeMessage(protocolVersion: 4 | 5) {
    const broker = own(await Mosquitto.start());
    const { connection } = await publisher(broker.url);
    await connection.publish('large', 'x'.repeat(200_000), { ...publishing, retain: true });
    await connection.publish('small', '1', { ...publishing, retain: true });
    const { connection: reader, states } = connectTo(broker.url, { maxMessageSizeBytes: 100_000, protocolVersion });
    const topics = new Recorder<string>();
    reader.subscribe(['large', 'small'], (topic) => topics.push(topic));
    reader.start();
    return { states, topics };
  }

  test('is not sent by the broker with MQTT 5, and the other topics continue', async () => {
    const { states, topics } = await withLargeMessage(5);
    await topics.when((topic) => topic === 'small');
    await states.when(({ subscribed }) => subscribed);
    expect(states.items.every(({ connected }) => connected)).toBe(true);
    expect(topics.items).not.toContain('large');
  });

  test('ends the connection with MQTT 3.1.1, and is named with its topic', async () => {
    const { states } = await withLargeMessage(4);
    const { reason } = await states.when(({ connected }) => !connected);
    expect(reason).toMatch(/message of 2000\d\d bytes on large; maxMessageSize is 100000/);
  });
});

describeWith(['mosquitto', 'mosquitto_passwd'], 'mosquitto with access rights', () => {
  const acl = 'user andon\ntopic readwrite plant/#\n';
  const users = { andon: 'secret' };

  test('a wrong password is named, and MQTT 5 reports a publish that the ACL drops', async () => {
    const broker = own(await Mosquitto.start({ users, acl }));
    process.env['ANDON_TEST_MQTT_PASSWORD'] = 'wrong';
    const login = { username: 'andon', password: { env: 'ANDON_TEST_MQTT_PASSWORD' } };
    const { connection, states } = connectTo(broker.url, login);
    connection.start();
    await states.when(({ reason }) =>
      /refused the login: (Not authorized|Bad User Name or Password)/.test(reason ?? ''),
    );
    // The secret is read again for each attempt.
    process.env['ANDON_TEST_MQTT_PASSWORD'] = 'secret';
    await states.when((state) => state.connected);
    await connection.publish('plant/a', '1', publishing);
    await expect(connection.publish('office/a', '1', publishing)).rejects.toMatchObject({
      code: 'mqtt-publish-refused',
      disposition: 'retry',
    });
    expect(connection.connected).toBe(true);
  });
});

describeWith(['mosquitto'], 'mosquitto and its sessions', () => {
  test('each message of a shared subscription goes to one member of the group', async () => {
    const broker = own(await Mosquitto.start());
    const members = await Promise.all([1, 2].map(() => subscriber(broker.url, ['$share/line-2/acme/+'])));
    const { connection } = await publisher(broker.url);
    const payloads = Array.from({ length: 40 }, (_, index) => `${index}`);
    for (const payload of payloads) await connection.publish('acme/a', payload, publishing);
    await expect.poll(() => members.reduce((sum, { messages }) => sum + messages.items.length, 0)).toBe(40);
    const got = members.map(({ messages }) => messages.items.map(({ payload }) => payload));
    expect(got.flat().toSorted()).toEqual(payloads.toSorted());
    expect(got.every((each) => each.length > 0)).toBe(true);
  });

  test('a session is kept no longer than its expiry', async () => {
    const broker = own(await Mosquitto.start());
    const session = { clientId: `kept-${crypto.randomUUID()}`, clean: false, sessionExpiryMs: 1000 };
    const before = await subscriber(broker.url, ['kept'], session);
    await before.connection[Symbol.asyncDispose]();
    // The broker looks for expired sessions once a second.
    await new Promise((resolve) => setTimeout(resolve, 3500));
    const { connection } = await publisher(broker.url);
    await connection.publish('kept', 'meanwhile', publishing);
    const { messages } = await subscriber(broker.url, ['kept'], session);
    await connection.publish('kept', 'after', publishing);
    await messages.count(1);
    expect(messages.items.map(({ payload }) => payload)).toEqual(['after']);
  });

  test('a message that could not be stored is delivered again', async () => {
    const broker = own(await Mosquitto.start());
    const { connection, states } = connectTo(broker.url, { clientId: `kept-${crypto.randomUUID()}`, clean: false });
    const taken = new Recorder<string>();
    let diskIsFull = true;
    connection.subscribe(['a'], async (_topic, payload) => {
      taken.push(payload.toString());
      if (diskIsFull) throw new Error('disk full');
    });
    connection.start();
    await states.when((state) => state.subscribed);
    const { connection: sender } = await publisher(broker.url);
    await sender.publish('a', 'kept safe', publishing);
    await states.when(({ reason }) => reason?.includes('could not be processed: disk full') === true);
    diskIsFull = false;
    await taken.count(2);
    expect(taken.items).toEqual(['kept safe', 'kept safe']);
  });
});

describeWith(['mosquitto', 'openssl'], 'mosquitto that requires a certificate', () => {
  test('accepts only clients with a certificate of its authority, from files or secrets', async () => {
    const certificates = own(TestCertificates.make());
    const { ca, server, client } = certificates;
    const lines = [`cafile ${ca}`, `certfile ${server.cert}`, `keyfile ${server.key}`, 'require_certificate true'];
    const broker = own(await Mosquitto.start({ lines }));
    const url = broker.url.replace('mqtt:', 'mqtts:');

    const anonymous = connectTo(url, { tls: { ca, cert: undefined, key: undefined } });
    anonymous.connection.start();
    await anonymous.states.when(({ reason }) =>
      /certificate required|ECONNRESET|closed the connection/.test(reason ?? ''),
    );

    const { connection } = await publisher(url, { tls: { ca, ...client } });
    await connection.publish('a', '1', publishing);

    process.env['ANDON_TEST_CLIENT_KEY'] = readFileSync(client.key, 'utf8');
    const secrets = { ca, cert: { file: client.cert }, key: { env: 'ANDON_TEST_CLIENT_KEY' } };
    const second = await publisher(url, { tls: secrets });
    await second.connection.publish('a', '1', publishing);
    expect(anonymous.states.items.some(({ connected }) => connected)).toBe(false);
  });

  test('a key that does not belong to the certificate is named, and retried', async () => {
    const { ca, server, client } = own(TestCertificates.make());
    const { connection, states } = connectTo('mqtts://127.0.0.1:1', {
      tls: { ca, cert: client.cert, key: server.key },
    });
    connection.start();
    await states.count(2);
    expect(states.items[1]?.reason).toMatch(/key values mismatch/);
  });
});

describeWith(['mosquitto', 'openssl'], 'mosquitto behind TLS', () => {
  test('is trusted only through its own authority', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'andon-tls-'));
    own({ [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }) });
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    execFileSync(programPath('openssl') ?? 'openssl', [...request, '-keyout', key, '-out', cert, ...subject], {
      stdio: 'ignore',
    });
    const broker = own(await Mosquitto.start({ lines: [`certfile ${cert}`, `keyfile ${key}`] }));
    const url = broker.url.replace('mqtt:', 'mqtts:');

    const stranger = connectTo(url);
    stranger.connection.start();
    await stranger.states.when(({ reason }) => reason?.includes('DEPTH_ZERO_SELF_SIGNED_CERT') === true);
    expect(stranger.connection.connected).toBe(false);

    const { connection } = await publisher(url, { tls: { ca: cert, cert: undefined, key: undefined } });
    await connection.publish('a', '1', publishing);
  });
});
