import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MqttConnectionOptions } from '../../../src/protocols/mqtt/mqtt-client-options.ts';
import { MqttConnection, type MqttState } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { publishPacket, RawBroker, remainingLength } from '../../support/broker-raw.ts';
import { Recorder } from '../../support/broker-recorder.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

/*
 * A broker that sends what no real broker sends. In every case the connection ends or continues with a reason in
 * words, settles every publish, reconnects, and throws nothing to its owner.
 */
let broker: RawBroker;
let open: MqttConnection[] = [];
const deps = testDeps();
const publishing = { qos: 1, retain: false, timeoutMs: 10_000 } as const;

beforeEach(async () => {
  broker = await RawBroker.listen();
});

afterEach(async () => {
  for (const connection of open) await connection[Symbol.asyncDispose]();
  open = [];
  await broker[Symbol.asyncDispose]();
});

function connectTo(overrides: Partial<MqttConnectionOptions> = {}) {
  const connection = new MqttConnection(brokerOptions(broker.url, { protocolVersion: 4, ...overrides }), deps);
  open.push(connection);
  const states = new Recorder<MqttState>();
  connection.onState(states.push);
  return { connection, states };
}

async function connected(overrides: Partial<MqttConnectionOptions> = {}) {
  const { connection, states } = connectTo(overrides);
  connection.start();
  await states.when((state) => state.connected);
  return { connection, states };
}

const lost = (reason: RegExp) => (state: MqttState) => !state.connected && reason.test(state.reason);

describe('a connection to a broker that misbehaves', () => {
  test('an invalid packet ends it immediately, and the next attempt follows', async () => {
    const { states } = await connected();
    broker.send([0xf0, 0xff, 0x01, 0x02]);
    await states.when(lost(/not MQTT/));
    const lostAt = states.items.length;
    await expect(states.when((state) => state.connected, lostAt)).resolves.toMatchObject({ reason: undefined });
  });

  test('arbitrary bytes end it or are ignored, and nothing is thrown to its owner', async () => {
    const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
    // Bytes that look like a packet reach the parser; arbitrary bytes seldom pass the guard.
    const packetLike = fc
      .tuple(fc.constantFrom(0x20, 0x30, 0x32, 0x40, 0x90, 0xd0, 0xe0), fc.uint8Array({ maxLength: 30 }))
      .map(([first, body]) => Uint8Array.of(first, body.length, ...body));
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyBytes, packetLike), fc.constantFrom<4 | 5>(4, 5), async (bytes, version) => {
        broker.connack = version === 4 ? [0x20, 2, 0, 0] : [0x20, 3, 0, 0, 0];
        const { connection } = await connected({ protocolVersion: version, keepaliveMs: 1000 });
        connection.subscribe(['a'], () => undefined);
        const published = connection.publish('a', '1', { ...publishing, timeoutMs: 500 });
        broker.send(bytes);
        const [outcome] = await Promise.allSettled([published]);
        await connection[Symbol.asyncDispose]();
        expect(['fulfilled', 'rejected']).toContain(outcome.status);
      }),
      { numRuns: 100 },
    );
  });

  test('a CONNACK without its code ends it after the connect timeout', async () => {
    broker.connack = [0x20, 1, 0];
    const { connection, states } = connectTo({ connectTimeoutMs: 200 });
    connection.start();
    await expect(states.when(lost(/did not answer the login within 200 ms/))).resolves.toBeDefined();
  });

  test('a message over the limit ends it at the header, and its bytes are not buffered', async () => {
    const { connection, states } = connectTo({ maxMessageSizeBytes: 100_000 });
    const announced = 256 * 1024 * 1024 - 1;
    connection.subscribe(['big'], () => undefined);
    connection.start();
    await states.when((state) => state.subscribed);
    const before = process.memoryUsage().arrayBuffers;
    broker.send(Buffer.concat([Buffer.of(0x30), remainingLength(announced), Buffer.of(0, 3), Buffer.from('big')]));
    const socket = broker.sockets.items.at(-1);
    const body = Buffer.alloc(1024 * 1024);
    const writable = (): boolean => socket?.writable === true;
    const ended = states.when(lost(/268435455 bytes on big; maxMessageSize is 100000/));
    for (let sent = 0; sent < announced && writable(); sent += body.length)
      await new Promise((resolve) => {
        socket?.write(body, resolve);
      });
    await ended;
    // The kernel has buffers of its own; the message itself would be 256 MiB.
    expect(socket?.bytesWritten).toBeLessThan(announced / 4);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(announced / 4);
  });

  test('a ping without a response ends it within 1.5 keep-alive intervals', async () => {
    broker.answerPings = false;
    const { states } = await connected({ keepaliveMs: 1000 });
    await expect(states.when(lost(/The broker sent nothing for 1500 ms/))).resolves.toBeDefined();
  });

  test('subscriptions without a response end it', async () => {
    broker.answerSubscribes = false;
    const { connection, states } = connectTo({ connectTimeoutMs: 200 });
    connection.subscribe(['a'], () => undefined);
    connection.start();
    await states.when(lost(/did not answer the subscriptions within 200 ms/));
    expect(states.items.some((state) => state.subscribed)).toBe(false);
  });

  test('repeated closes by the broker double the wait up to the longest', async () => {
    const { connection, states } = connectTo({ reconnectMinMs: 10, reconnectMaxMs: 60 });
    broker.hangsUp = true;
    connection.start();
    await states.count(5);
    const waits = states.items.map((state) => (state.connected ? undefined : state.retryInMs));
    // The random source of the test returns the middle of each upper half: 10, 20, 40, 60, 60.
    expect(waits.slice(0, 5)).toEqual([7.5, 15, 30, 45, 45]);
  });
});

test('after a stable connection the wait starts at the shortest; after a short one it continues to grow', async () => {
  const clock = new FakeClock();
  const options = brokerOptions(broker.url, { protocolVersion: 4, reconnectMinMs: 1000, reconnectMaxMs: 60_000 });
  const connection = new MqttConnection(options, testDeps(clock));
  open.push(connection);
  const states = new Recorder<MqttState>();
  connection.onState(states.push);
  connection.start();
  const waits: (number | undefined)[] = [];
  for (const heldMs of [0, 0, 0, 10_000, 0]) {
    const from = states.items.length;
    await states.when((state) => state.connected, Math.max(0, from - 1));
    await clock.advance(heldMs);
    broker.sockets.items.at(-1)?.destroy();
    const lostState = await states.when((state) => !state.connected, from);
    const retryInMs = lostState.connected ? 0 : lostState.retryInMs;
    waits.push(retryInMs);
    const next = states.when((state) => state.connected, states.items.length);
    await clock.advance(retryInMs);
    await next;
  }
  expect(waits).toEqual([750, 1500, 3000, 750, 1500]);
});

test('3.1.1 is tried next if the broker closes the connection on MQTT 5 without a response', async () => {
  broker.connack = undefined;
  const { connection, states } = connectTo({ protocolVersion: 'auto' });
  connection.start();
  await broker.whenReceived('connect');
  broker.connack = [0x20, 2, 0, 0];
  broker.sockets.items[0]?.destroy();
  await states.when((state) => state.connected);
  // The byte after the protocol's name, "MQTT" with its length.
  expect(broker.received('connect').map(({ body }) => body[6])).toEqual([5, 4]);
});

describe('publishing', () => {
  test('fails immediately before the login: nothing is queued', async () => {
    const { connection } = connectTo();
    await expect(connection.publish('a', '1', publishing)).rejects.toMatchObject({
      code: 'mqtt-not-connected',
      disposition: 'retry',
    });
    connection.start();
    await expect(connection.publish('a', '1', publishing)).rejects.toMatchObject({ code: 'mqtt-not-connected' });
    await broker.whenReceived('connect');
    expect(broker.received('publish')).toEqual([]);
  });

  test('resolves at the acknowledgement of the message and not before', async () => {
    broker.acknowledgePublishes = false;
    const { connection } = await connected();
    let settled = 0;
    const first = connection.publish('a', '1', publishing).then(() => (settled += 1));
    const second = connection.publish('a', '2', publishing).then(() => (settled += 10));
    await broker.packets.count(3);
    broker.acknowledge(broker.received('publish')[1]?.body ?? Buffer.alloc(0));
    await second;
    expect(settled).toBe(10);
    broker.acknowledge(broker.received('publish')[0]?.body ?? Buffer.alloc(0));
    await first;
  });

  test('refuses more than 200 in flight, and those in flight fail when the connection fails', async () => {
    broker.acknowledgePublishes = false;
    const { connection } = await connected();
    const published = Array.from({ length: 200 }, (_, index) => connection.publish('a', `${index}`, publishing));
    const settled = Promise.allSettled(published);
    await expect(connection.publish('a', 'one too many', publishing)).rejects.toMatchObject({
      code: 'mqtt-too-many-in-flight',
      disposition: 'retry',
    });
    broker.sockets.items.at(-1)?.destroy();
    const reasons = new Set((await settled).map((result) => (result.status === 'rejected' ? result.reason.code : '')));
    expect(reasons).toEqual(new Set(['mqtt-not-connected']));
    expect(await metricValue(deps, 'andon_mqtt_in_flight{connection="test"}')).toBe(0);
  });

  test('an unacknowledged message fails in time, and the new connection does not repeat it', async () => {
    broker.acknowledgePublishes = false;
    const { connection, states } = await connected();
    const late = connection.publish('a', 'late', { ...publishing, timeoutMs: 100 });
    const other = connection.publish('a', 'other', publishing);
    await Promise.all([
      expect(late).rejects.toMatchObject({ code: 'mqtt-publish-timeout', disposition: 'retry' }),
      expect(other).rejects.toMatchObject({ code: 'mqtt-not-connected' }),
    ]);
    const lostAt = states.items.length;
    broker.acknowledgePublishes = true;
    await states.when((state) => state.connected, lostAt);
    await connection.publish('a', 'next', publishing);
    // The owner of the record sends it again, never the connection.
    expect(broker.received('publish')).toHaveLength(3);
  });

  test('an MQTT 5 broker never has more unacknowledged messages than its receive maximum', async () => {
    broker.connack = [0x20, 6, 0, 0, 3, 0x21, 0, 2];
    broker.acknowledgePublishes = false;
    const { connection } = await connected({ protocolVersion: 5 });
    const published = Promise.all(Array.from({ length: 10 }, () => connection.publish('a', '1', publishing)));
    for (let acknowledged = 0; acknowledged < 10; acknowledged += 1) {
      await broker.packets.count(2 + acknowledged);
      expect(broker.received('publish').length - acknowledged).toBeLessThanOrEqual(2);
      broker.acknowledge(broker.received('publish')[acknowledged]?.body ?? Buffer.alloc(0));
    }
    await published;
  });

  test('a message over the limit that the broker announced is refused and the connection continues', async () => {
    broker.connack = [0x20, 8, 0, 0, 5, 0x27, 0, 0, 3, 232];
    const { connection } = await connected({ protocolVersion: 5 });
    await connection.publish('a', 'x'.repeat(980), publishing);
    await expect(connection.publish('a', 'x'.repeat(990), publishing)).rejects.toMatchObject({
      code: 'mqtt-publish-too-large',
      disposition: 'reject',
      message: 'A message of 1001 bytes on a exceeds the limit of the broker, 1000 bytes',
    });
    expect(connection.connected).toBe(true);
  });

  test('a topic of 65535 bytes is published, and one of more bytes is refused even if it has fewer characters', async () => {
    const { connection } = await connected();
    await connection.publish('°'.repeat(32_767), '1', publishing);
    await expect(connection.publish('°'.repeat(32_768), '1', publishing)).rejects.toMatchObject({
      code: 'mqtt-message-invalid',
      disposition: 'reject',
    });
    expect(connection.connected).toBe(true);
  });

  test.each(['', 'a/+', 'a/#', 'a\0b'])('%j cannot be published on', async (topic) => {
    const { connection } = await connected();
    await expect(connection.publish(topic, '1', publishing)).rejects.toMatchObject({
      code: 'mqtt-message-invalid',
      disposition: 'reject',
    });
    expect(connection.connected).toBe(true);
  });
});

describe('a message from the broker', () => {
  async function subscribed(onMessage: () => void | Promise<void>) {
    const { connection, states } = connectTo();
    connection.subscribe(['a'], onMessage);
    connection.start();
    await states.when((state) => state.subscribed);
    return { connection, states };
  }

  test('is acknowledged only after its handler has resolved', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const taken = new Recorder<string>();
    await subscribed(() => {
      taken.push('taken');
      return promise;
    });
    broker.send(publishPacket('a', '1'));
    await taken.count(1);
    expect(broker.received('puback')).toEqual([]);
    resolve();
    const { body } = await broker.whenReceived('puback');
    expect([...body]).toEqual([0, 7]);
  });

  test('that waits delays no other, and acknowledgements keep the order of the messages', async () => {
    const gates = new Map(['1', '2', '3'].map((payload) => [payload, Promise.withResolvers<void>()]));
    const taken = new Recorder<string>();
    const { connection, states } = connectTo();
    connection.subscribe(['a'], (_topic, payload) => {
      taken.push(payload.toString());
      return gates.get(payload.toString())?.promise;
    });
    connection.start();
    await states.when((state) => state.subscribed);
    for (const [index, payload] of ['1', '2', 'at once', '3'].entries())
      broker.send(publishPacket('a', payload, index + 1));
    await taken.count(4);
    gates.get('2')?.resolve();
    gates.get('3')?.resolve();
    // The broker can receive this response only after those two were processed.
    await connection.publish('b', 'x', publishing);
    expect(broker.received('puback')).toEqual([]);
    gates.get('1')?.resolve();
    await broker.packets.when(({ first, body }) => first === 0x40 && body[1] === 4);
    expect(broker.received('puback').map(({ body }) => body.readUInt16BE(0))).toEqual([1, 2, 3, 4]);
  });

  test('is not read while 1000 wait, and reading continues when the first of them is stored', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const taken = new Recorder<string>();
    const { connection, states } = connectTo();
    connection.subscribe(['a'], (_topic, payload) => {
      taken.push(payload.toString());
      return promise;
    });
    connection.start();
    await states.when((state) => state.subscribed);
    broker.send(Buffer.concat(Array.from({ length: 1500 }, (_, index) => publishPacket('a', `${index}`, index + 1))));
    await taken.count(1000);
    // No event marks what must not arrive: waits for a turn of the loop in which 500 messages would have arrived.
    await new Promise((done) => setTimeout(done, 50));
    expect(taken.items).toHaveLength(1000);
    resolve();
    await taken.count(1500);
    await broker.packets.when(({ first, body }) => first === 0x40 && body.readUInt16BE(0) === 1500);
    expect(broker.received('puback')).toHaveLength(1500);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('disk full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
  ])(
    'is not acknowledged when its handler %s: the connection ends, and the broker may send it again',
    async (_how, onMessage) => {
      const { states } = await subscribed(onMessage);
      broker.send(publishPacket('a', '1'));
      await states.when(lost(/A message on a could not be processed: disk full/));
      expect(broker.received('puback')).toEqual([]);
    },
  );

  test('on a topic without a subscription, even with control characters, is acknowledged and dropped', async () => {
    let taken = 0;
    const { connection } = await subscribed(() => {
      taken += 1;
    });
    broker.send(publishPacket('evil/\u0000\u001b[2J\r\n{"level":"error"}', '1'));
    await broker.whenReceived('puback');
    expect(taken).toBe(0);
    expect(connection.connected).toBe(true);
  });
});

describe('disposal', () => {
  test('sends a DISCONNECT, and nothing is reported after it', async () => {
    const { connection, states } = await connected();
    const before = states.items.length;
    await connection[Symbol.asyncDispose]();
    await broker.whenReceived('disconnect');
    await connection[Symbol.asyncDispose]();
    expect(states.items).toHaveLength(before);
    expect(connection.connected).toBe(false);
  });

  test('before the start, during the login and between attempts leaves nothing behind', async () => {
    const { connection: unstarted } = connectTo();
    await unstarted[Symbol.asyncDispose]();
    unstarted.start();

    broker.connack = undefined;
    const { connection: connecting } = connectTo();
    connecting.start();
    await broker.whenReceived('connect');
    await connecting[Symbol.asyncDispose]();

    const { connection: waiting, states } = connectTo({ url: 'mqtt://127.0.0.1:1', reconnectMinMs: 60_000 });
    waiting.start();
    await states.when(lost(/ECONNREFUSED/));
    await waiting[Symbol.asyncDispose]();
    expect(broker.received('connect')).toHaveLength(1);
  });

  test('does not wait for acknowledgements that never arrive', async () => {
    broker.acknowledgePublishes = false;
    const { connection } = await connected();
    const settled = Promise.allSettled([connection.publish('a', '1', publishing)]);
    await connection[Symbol.asyncDispose]();
    expect((await settled)[0]).toMatchObject({ status: 'rejected', reason: { code: 'mqtt-not-connected' } });
  });
});

describe('a client id that another client uses', () => {
  const remedy =
    /another client uses the client id 'box'\. Give each its own clientId, or leave clientId out for a random one/;

  /** Ends a number of connections shortly after their login. */
  async function closeEarly(times: number, overrides: Partial<MqttConnectionOptions>) {
    if (overrides.protocolVersion === 5) broker.connack = [0x20, 3, 0, 0, 0];
    const { states } = await connected({ clientId: 'box', ...overrides });
    for (let close = 0; close < times; close += 1) {
      const from = states.items.length;
      broker.sockets.items.at(-1)?.destroy();
      await states.when((state) => state.connected, from);
    }
    return states.items.map(({ reason }) => reason ?? '');
  }

  test('is named by the reason code of MQTT 5', async () => {
    broker.connack = [0x20, 3, 0, 0, 0];
    const { states } = await connected({ protocolVersion: 5, clientId: 'box' });
    broker.send([0xe0, 1, 0x8e]);
    const { reason } = await states.when(({ connected: isConnected }) => !isConnected);
    expect(reason).toMatch(/Session taken over; /);
    expect(reason).toMatch(remedy);
  });

  test.each([4, 5] as const)('is named after three short connections, with version %d', async (protocolVersion) => {
    const reasons = await closeEarly(3, { protocolVersion, isClientIdChosen: true });
    // Also while connected: the next connection may end as well.
    expect(reasons.filter((reason) => remedy.test(reason))).toHaveLength(2);
    expect(reasons.at(-1)).toMatch(remedy);
  });

  test('is not suspected before, or if the client id is random', async () => {
    expect((await closeEarly(2, { isClientIdChosen: true })).join()).not.toMatch(remedy);
    expect((await closeEarly(5, { isClientIdChosen: false })).join()).not.toMatch(remedy);
  });
});
