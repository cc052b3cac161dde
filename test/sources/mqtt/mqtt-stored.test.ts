import { afterEach, describe, expect, test } from 'vitest';
import { OperatingError } from '../../../src/platform/errors.ts';
import { MqttConnection } from '../../../src/protocols/mqtt/mqtt-connection.ts';
import { GroupedWait } from '../../../src/sources/grouped-wait.ts';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../../../src/sources/mqtt/mqtt-source.ts';
import { brokerOptions } from '../../support/broker-options.ts';
import { publishPacket, RawBroker } from '../../support/broker-raw.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { describeWith } from '../../support/programs.ts';
import { SourceHarness } from '../../support/source-harness.ts';
import { testDeps } from '../../support/test-deps.ts';

/*
 * With `acknowledge: stored` every acknowledged message is on the disk. So no message may be acknowledged whose
 * samples were passed on after the last `stored` that succeeded.
 */
let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

function sourceOn(url: string, harness: SourceHarness, settings: Record<string, unknown> = {}) {
  const config = mqttKind.schema.parse({
    type: 'mqtt',
    url,
    clientId: `stored-${crypto.randomUUID()}`,
    cleanSession: false,
    acknowledge: 'stored',
    reconnectMin: '20ms',
    reconnectMax: '100ms',
    tags: { speed: { topic: 'pump/speed' } },
    ...settings,
  });
  const { tagNumbers, bindTag, sink, stateFolder, history } = harness;
  const source = own(
    new MqttSource({ id: 'cell', config, tagNumbers, bindTag, sink, stateFolder, history, deps: testDeps() }),
  );
  source.start();
  return source;
}

test('messages are acknowledged after they are stored, many with one write', async () => {
  const broker = own(await RawBroker.listen());
  const harness = new SourceHarness(['speed']);
  const flushes: (() => void)[] = [];
  harness.stored = () => new Promise((resolve) => flushes.push(resolve));
  sourceOn(broker.url, harness, { protocolVersion: '3.1.1' });
  await broker.whenReceived('subscribe');
  broker.send(publishPacket('pump/speed', '1', 1));
  await expect.poll(() => flushes.length).toBe(1);
  broker.send(Buffer.concat(Array.from({ length: 50 }, (_, index) => publishPacket('pump/speed', '2', index + 2))));
  await harness.batches.count(51);
  expect(broker.received('puback')).toEqual([]);
  flushes[0]?.();
  await broker.packets.when(({ first, body }) => first === 0x40 && body.readUInt16BE(0) === 1);
  // The fifty arrived while the first was being written: they share the next write.
  await expect.poll(() => flushes.length).toBe(2);
  expect(broker.received('puback')).toHaveLength(1);
  flushes[1]?.();
  await broker.packets.when(({ first, body }) => first === 0x40 && body.readUInt16BE(0) === 51);
  expect(broker.received('puback').map(({ body }) => body.readUInt16BE(0))).toEqual(
    Array.from({ length: 51 }, (_, index) => index + 1),
  );
});

describeWith(['mosquitto'], 'a source on mosquitto that stores before it acknowledges', () => {
  test('receives every message again that could not be stored', async () => {
    const broker = own(await Mosquitto.start());
    const harness = new SourceHarness(['speed']);
    let isFull = true;
    const stored = new Set<number>();
    harness.stored = async () => {
      if (isFull) throw new OperatingError('samples-not-stored', 'retry', 'disk full');
      for (const { value } of harness.batches.items.flat()) stored.add(value);
    };
    sourceOn(broker.url, harness);
    const connection = own(new MqttConnection(brokerOptions(broker.url), testDeps()));
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.onState(({ connected }) => (connected ? resolve() : undefined));
    connection.start();
    await promise;
    const publish = (value: number) =>
      connection.publish('pump/speed', `${value}`, { qos: 1, retain: false, timeoutMs: 10_000 });
    // The source subscribes later; its session keeps the messages after that.
    await expect
      .poll(
        async () => {
          await publish(0);
          return harness.batches.items.flat().some(({ value }) => value === 0);
        },
        { timeout: 120_000 },
      )
      .toBe(true);
    for (let value = 1; value <= 100; value += 1) await publish(value);
    await harness.batches.when(([first]) => first?.value === 1);
    isFull = false;
    await expect.poll(() => stored.size).toBeGreaterThanOrEqual(101);
    expect([...stored].filter((value) => value >= 0)).toHaveLength(101);
  });
});

describe('waiting together', () => {
  test('a caller that joins during a run waits for a run that begins later', async () => {
    const log: string[] = [];
    const gates: (() => void)[] = [];
    const group = new GroupedWait(() => {
      log.push('begin');
      return new Promise((resolve) => gates.push(resolve));
    });
    const first = group.join().then(() => log.push('first'));
    await expect.poll(() => gates.length).toBe(1);
    const others = Promise.all([group.join(), group.join()]).then(() => log.push('others'));
    gates[0]?.();
    await first;
    await expect.poll(() => gates.length).toBe(2);
    gates[1]?.();
    await others;
    expect(log).toEqual(['begin', 'first', 'begin', 'others']);
  });

  test('a run that fails fails for its own members only', async () => {
    let runs = 0;
    const group = new GroupedWait(async () => {
      runs += 1;
      if (runs === 1) throw new Error('disk full');
    });
    const first = group.join();
    await expect(first).rejects.toThrow('disk full');
    await expect(group.join()).resolves.toBeUndefined();
  });
});
