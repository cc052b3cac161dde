import { connectAsync } from 'mqtt';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { Uplink } from '../../src/contracts/uplink.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { mqttUplinkSchema } from '../../src/uplinks/mqtt/mqtt-uplink-config.ts';
import { createMqttUplink } from '../../src/uplinks/mqtt/mqtt-uplink.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith } from '../support/programs.ts';
import { RawBroker } from '../support/broker-raw.ts';
import { testDeps } from '../support/test-deps.ts';
import { type BrokerFault, UpstreamBroker } from '../support/upstream-broker.ts';

const topic = 'andon/v1/edge-01/records';
const quick = {
  reconnectMin: '10ms',
  reconnectMax: '20ms',
  retry: { first: '10ms', max: '20ms' },
  batch: { linger: '0ms', recordsMax: 3 },
} as const;

type Config = Partial<z.input<typeof mqttUplinkSchema>>;
type Bench = {
  readonly store: MemoryRecordStore;
  readonly broker: UpstreamBroker;
  readonly deps: Deps;
  readonly start: (config?: Config) => Uplink;
  readonly delivered: () => Promise<void>;
};

async function withBench(run: (bench: Bench) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await new UpstreamBroker().listen());
  const store = new MemoryRecordStore();
  const deps = { ...testDeps(), random: Math.random };
  const start = (config: Config = {}) => {
    const parsed = mqttUplinkSchema.parse({ type: 'mqtt', url: broker.url, stopTimeout: '0ms', ...quick, ...config });
    const uplink = createMqttUplink({ id: 'cloud', agentId: 'edge-01', config: parsed, records: store, deps });
    stack.use(uplink);
    uplink.start();
    return uplink;
  };
  const delivered = () => eventually(() => expect(store.waiting('cloud')).toBe(0));
  await run({ store, broker, deps, start, delivered });
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 5 });
}

function health(deps: Deps) {
  return deps.health.components().find(({ name }) => name === 'uplink/cloud');
}

function ids(payloads: readonly unknown[]): readonly string[] {
  return [...new Set(payloads.flatMap((payload) => (payload as { id: string }[]).map(({ id }) => id)))];
}

test('a batch is a JSON array of records with QoS 1 on the agent’s own topic', async () => {
  await withBench(async ({ store, broker, start, delivered }) => {
    await store.appendVerdicts(2);
    start();
    await delivered();
    expect(broker.published.items[0]).toMatchObject({ topic, qos: 1, retain: false });
    expect(broker.on(topic)[0]).toMatchObject([
      { id: 'edge-01/e1/1', kind: 'verdict', timestamp_ms: 1_767_225_600_000, number: 0 },
      { id: 'edge-01/e1/2', number: 1 },
    ]);
  });
});

test('a record is acknowledged by the PUBACK and not before', async () => {
  await withBench(async ({ store, broker, start, delivered }) => {
    broker.holds = true;
    await store.appendVerdicts(3);
    start();
    await broker.published.count(1);
    expect(store.waiting('cloud')).toBe(3);
    broker.release();
    await delivered();
  });
});

test('as many batches as batchesInFlight are in flight together, and no more', async () => {
  await withBench(async ({ store, broker, start, delivered }) => {
    broker.holds = true;
    await store.appendVerdicts(60);
    start({ batchesInFlight: 5 });
    await broker.published.count(5);
    expect(broker.heldMost).toBe(5);
    broker.release();
    await delivered();
    expect(broker.heldMost).toBe(5);
    expect(ids(broker.on(topic))).toEqual(store.stored.map(({ id }) => id));
  });
});

test('a broker that loses connections gets every record at least once, first arrivals in order', async () => {
  const fault = fc.constantFrom<BrokerFault | undefined>(undefined, undefined, 'lose', 'store-then-lose');
  const faults = fc.array(fault, { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(
      faults,
      fc.integer({ min: 1, max: 25 }),
      fc.integer({ min: 1, max: 6 }),
      async (script, count, window) => {
        await withBench(async ({ store, broker, start, delivered }) => {
          broker.faults.push(...script);
          await store.appendVerdicts(count);
          start({ batchesInFlight: window });
          await delivered();
          expect(ids(broker.on(topic))).toEqual(store.stored.map(({ id }) => id));
          expect(store.deadLetters).toEqual([]);
        });
      },
    ),
    { numRuns: 15 },
  );
});

describe('an unreachable broker', () => {
  test('is reported even if no record waits, and gets the waiting records when it is back', async () => {
    await withBench(async ({ store, broker, deps, start, delivered }) => {
      await store.appendVerdicts(1);
      // The uplink must not wait for the end of its backoff when the broker is back.
      start({ retry: { first: '1h', max: '1h' } });
      await delivered();
      expect(health(deps)?.status).toBe('ok');
      await broker.stop();
      await eventually(() => expect(health(deps)?.status).toBe('degraded'));
      await store.appendVerdicts(7);
      await broker.listen();
      await delivered();
      expect(ids(broker.on(topic)).length).toBe(8);
      await eventually(() => expect(health(deps)?.status).toBe('ok'));
    });
  });

  test('does not delay a stop, and the records stay', async () => {
    await withBench(async ({ store, broker, start }) => {
      await broker.stop();
      await store.appendVerdicts(3);
      const uplink = start({ stopTimeout: '10s' });
      await uplink[Symbol.asyncDispose]();
      expect(store.waiting('cloud')).toBe(3);
    });
  });
});

test('a batch without an acknowledgement is sent again after publishTimeout', async () => {
  await withBench(async ({ store, broker, deps, start, delivered }) => {
    broker.holds = true;
    await store.appendVerdicts(1);
    start({ publishTimeout: '150ms' });
    await eventually(() => expect(health(deps)?.reason).toContain('did not acknowledge'));
    broker.release();
    await delivered();
    expect(ids(broker.on(topic))).toEqual(['edge-01/e1/1']);
  });
});

test('another topic may be configured, but no wildcard', async () => {
  await withBench(async ({ store, broker, start, delivered }) => {
    await store.appendVerdicts(1);
    start({ topic: 'plant/lyon/andon' });
    await delivered();
    expect(broker.on('plant/lyon/andon').length).toBe(1);
  });
  expect(mqttUplinkSchema.safeParse({ type: 'mqtt', url: 'mqtt://a:1', topic: 'plant/#' }).success).toBe(false);
});

describe('a broker that refuses what is large', () => {
  const reasonCases = [
    ['packet too large', 0x95],
    ['payload format invalid', 0x99],
  ] as const;

  /** A broker of MQTT 5 that answers publishes of more than 1000 bytes with a reason code, or not at all. */
  async function sizedBroker(stack: AsyncDisposableStack, reason: number | 'closes') {
    const accepted: string[] = [];
    const broker = stack.use(await RawBroker.listen());
    broker.acknowledgePublishes = false;
    broker.connack = reason === 'closes' ? [0x20, 2, 0, 0] : [0x20, 3, 0, 0, 0];
    broker.onPacket = ({ first, body }, socket) => {
      if (first >> 4 !== 3) return;
      const topicEnd = 2 + body.readUInt16BE(0);
      const id = [...body.subarray(topicEnd, topicEnd + 2)];
      const payload = body.subarray(topicEnd + (reason === 'closes' ? 2 : 3)).toString();
      if (body.length <= 1000) {
        accepted.push(payload);
        socket.write(Uint8Array.from([0x40, 2, ...id]));
      } else if (reason === 'closes') socket.destroy();
      else socket.write(Uint8Array.from([0x40, 3, ...id, reason]));
    };
    return { broker, accepted: () => accepted.map((payload): unknown => JSON.parse(payload)) };
  }

  async function uplinkTo(stack: AsyncDisposableStack, url: string, config: Config) {
    const store = new MemoryRecordStore();
    const deps = testDeps();
    const batch = { recordsMax: 100, linger: '0ms' } as const;
    const parsed = mqttUplinkSchema.parse({ type: 'mqtt', url, stopTimeout: '0ms', ...quick, batch, ...config });
    const uplink = stack.use(
      createMqttUplink({ id: 'cloud', agentId: 'edge-01', config: parsed, records: store, deps }),
    );
    return { store, uplink };
  }

  test.each(reasonCases)(
    'with %s gets smaller batches, and one record that is still refused is a dead letter',
    async (_what, reason) => {
      await using stack = new AsyncDisposableStack();
      const { broker, accepted } = await sizedBroker(stack, reason);
      const { store, uplink } = await uplinkTo(stack, broker.url, { protocolVersion: '5' });
      await store.appendVerdicts(20, 100);
      await store.appendVerdicts(1, 3000);
      await store.appendVerdicts(5, 100);
      uplink.start();
      await eventually(() => expect(store.waiting('cloud')).toBe(0));
      expect(store.deadLetters).toHaveLength(1);
      // Batches in flight with the refused one arrive before it.
      const wanted = store.stored.map(({ id }) => id).filter((_id, index) => index !== 20);
      expect(ids(accepted()).toSorted()).toEqual(wanted.toSorted());
    },
  );

  test('by closing the connection gets smaller batches, and one record that is still refused is a dead letter', async () => {
    await using stack = new AsyncDisposableStack();
    const { broker, accepted } = await sizedBroker(stack, 'closes');
    const { store, uplink } = await uplinkTo(stack, broker.url, { protocolVersion: '3.1.1' });
    await store.appendVerdicts(20, 100);
    await store.appendVerdicts(1, 3000);
    await store.appendVerdicts(5, 100);
    uplink.start();
    await eventually(() => expect(store.waiting('cloud')).toBe(0));
    expect(store.deadLetters).toHaveLength(1);
    expect(ids(accepted())).toEqual(store.stored.map(({ id }) => id).filter((_id, index) => index !== 20));
  });

  test('by refusing several batches in flight teaches their size once', async () => {
    await using stack = new AsyncDisposableStack();
    const { broker, accepted } = await sizedBroker(stack, 0x95);
    const config = { protocolVersion: '5', batchesInFlight: 8, batch: { recordsMax: 40, linger: '0ms' } } as const;
    const { store, uplink } = await uplinkTo(stack, broker.url, config);
    await store.appendVerdicts(320, 1);
    uplink.start();
    await eventually(() => expect(store.waiting('cloud')).toBe(0));
    expect(ids(accepted())).toHaveLength(320);
    expect(accepted().length).toBeLessThan(80);
  });

  test('and is away for another reason costs no record', async () => {
    await using stack = new AsyncDisposableStack();
    const { broker, accepted } = await sizedBroker(stack, 'closes');
    const { store, uplink } = await uplinkTo(stack, broker.url, { protocolVersion: '3.1.1' });
    const onPacket = broker.onPacket;
    let lost = 0;
    // Also the empty batch between the attempts is lost: the record is not the cause.
    broker.onPacket = (packet, socket) => {
      if (packet.first >> 4 !== 3) return;
      lost += 1;
      socket.destroy();
    };
    await store.appendVerdicts(1, 600);
    uplink.start();
    await eventually(() => expect(lost).toBeGreaterThan(8));
    broker.onPacket = onPacket;
    await eventually(() => expect(store.waiting('cloud')).toBe(0));
    expect(store.deadLetters).toEqual([]);
    expect(ids(accepted())).toHaveLength(1);
  });
});

describeWith(['mosquitto'], 'a broker without retained messages', () => {
  test('and with MQTT 3.1.1 is named in health as a possible cause', async () => {
    await using broker = await Mosquitto.start({ lines: ['retain_available false'] });
    await withBench(async ({ store, deps, start }) => {
      await store.appendVerdicts(3);
      start({ url: broker.url, retain: true, protocolVersion: '3.1.1' });
      const hint = 'A broker without retained messages closes it at the first batch: retain: false';
      await eventually(() => expect(health(deps)?.reason).toContain(hint));
    });
  });
});

test('records may be retained, and are not by default', async () => {
  for (const retain of [undefined, true] as const)
    await withBench(async ({ store, broker, start, delivered }) => {
      await store.appendVerdicts(1);
      start(retain === undefined ? {} : { retain });
      await delivered();
      expect(broker.published.items[0]?.retain).toBe(retain === true);
    });
});

describeWith(['mosquitto'], 'with mosquitto', () => {
  test.each([
    ['message_size_limit 2048', 'auto'],
    ['max_packet_size 2048', '3.1.1'],
  ] as const)('%s and MQTT %s delivers every record', async (line, protocolVersion) => {
    await using stack = new AsyncDisposableStack();
    const broker = stack.use(await Mosquitto.start({ lines: [line] }));
    const store = new MemoryRecordStore();
    const batch = { recordsMax: 100, linger: '0ms' } as const;
    const config = mqttUplinkSchema.parse({ type: 'mqtt', url: broker.url, ...quick, batch, protocolVersion });
    const received: unknown[] = [];
    const client = await connectAsync(broker.url, { reconnectPeriod: 0 });
    client.on('message', (_topic, payload) => received.push(JSON.parse(payload.toString())));
    await client.subscribeAsync(topic, { qos: 1 });
    await store.appendVerdicts(300, 100);
    stack.use(createMqttUplink({ id: 'cloud', agentId: 'edge-01', config, records: store, deps: testDeps() })).start();
    await eventually(() => expect(ids(received).toSorted()).toEqual(store.stored.map(({ id }) => id).toSorted()));
    await eventually(() => expect(store.waiting('cloud')).toBe(0));
    expect(store.deadLetters).toEqual([]);
    await client.endAsync(true);
  });

  test('another subscriber gets every record across a killed and restarted broker', async () => {
    await using stack = new AsyncDisposableStack();
    const first = await Mosquitto.start();
    const store = new MemoryRecordStore();
    const config = mqttUplinkSchema.parse({ type: 'mqtt', url: first.url, ...quick });
    const deps = testDeps();
    const uplink = stack.use(createMqttUplink({ id: 'cloud', agentId: 'edge-01', config, records: store, deps }));
    uplink.start();
    const received: unknown[] = [];
    const subscribe = async (url: string) => {
      const client = await connectAsync(url, { reconnectPeriod: 0 });
      client.on('message', (_topic, payload) => received.push(JSON.parse(payload.toString())));
      await client.subscribeAsync(topic, { qos: 1 });
      return client;
    };
    const before = await subscribe(first.url);
    await store.appendVerdicts(10);
    await eventually(() => expect(ids(received).length).toBe(10));
    await before.endAsync(true);
    await first.kill();
    const second = stack.use(await Mosquitto.start({ port: first.port }));
    const after = await subscribe(second.url);
    await store.appendVerdicts(10);
    await eventually(() => expect(ids(received)).toEqual(store.stored.map(({ id }) => id)));
    await eventually(() => expect(store.waiting('cloud')).toBe(0));
    await after.endAsync(true);
  });

  test('a broker with a small message limit gets small batches, in order, and nothing becomes a dead letter', async () => {
    await using stack = new AsyncDisposableStack();
    const broker = stack.use(await Mosquitto.start({ lines: ['max_packet_size 1000'] }));
    const store = new MemoryRecordStore();
    const config = mqttUplinkSchema.parse({ type: 'mqtt', url: broker.url, ...quick, batch: { recordsMax: 100 } });
    const deps = testDeps();
    const received: unknown[] = [];
    const client = await connectAsync(broker.url, { reconnectPeriod: 0 });
    client.on('message', (_topic, payload) => received.push(JSON.parse(payload.toString())));
    await client.subscribeAsync(topic, { qos: 1 });
    await store.appendVerdicts(60, 100);
    const uplink = stack.use(createMqttUplink({ id: 'cloud', agentId: 'edge-01', config, records: store, deps }));
    uplink.start();
    await eventually(() => expect(ids(received)).toEqual(store.stored.map(({ id }) => id)));
    expect(store.deadLetters).toEqual([]);
    await client.endAsync(true);
  });
});
