import { afterEach, describe, expect, test } from 'vitest';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { dataTypes } from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { describeWith } from '../../support/programs.ts';
import { Mosquitto } from '../../support/mosquitto.ts';
import { type RawMetric, rawSparkplug } from '../../support/sparkplug-encoder.ts';
import { sparkplugPlant } from '../../support/sparkplug-plant.ts';

/*
 * Edge nodes as they are in plants: each payload is encoded field by field.
 */
const TIME_MS = 1_780_000_000_000;
const { Int8, Int16, Int32, Int64, UInt8, UInt16, Double, String: Text } = dataTypes;
const TEMPLATE = 19;
let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const of = (metric: string, device?: string) => ({ group: 'acme', edgeNode: 'line-2', device, metric });

async function plantWith(settings: Record<string, unknown>) {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  const plant = await sparkplugPlant(broker.url, own, settings);
  const send = (type: string, sequence: number | undefined, metrics: readonly RawMetric[], device?: string) =>
    plant.say(
      ['spBv1.0/acme', type, 'line-2', ...(device === undefined ? [] : [device])].join('/'),
      rawSparkplug(TIME_MS, sequence, metrics),
    );
  const values = () =>
    Object.fromEntries(
      plant.harness.names.map((tag) => {
        const last = plant.harness.last(tag);
        return [tag, last?.quality === 'good' ? last.value : `${last?.quality} ${last?.reason}`];
      }),
    );
  return { ...plant, send, values };
}

test('an omitted sequence number is 0, in births and in data', async () => {
  const { harness, send, leftOut } = await plantWith({ tags: { level: of('Level') } });
  const level = (value: number) => [{ name: 'Level', dataType: Double, double: value }];
  await send('NBIRTH', undefined, level(0));
  for (let message = 1; message < 600; message += 1)
    await send('NDATA', message % 256 === 0 ? undefined : message % 256, level(message));
  await harness.batches.when(([first]) => first?.value === 599);
  expect(harness.batches.items.flat().map(({ value }) => value)).toEqual(Array.from({ length: 600 }, (_, n) => n));
  expect(await leftOut('gap')).toBe(0);
});

describe('an alias', () => {
  const tags = { a: of('Pressure', 'pump-a'), b: of('Pressure', 'pump-b') };
  const birth = (value: number) => [{ name: 'Pressure', alias: 1, dataType: Double, double: value }];

  test('counts within its device, with the name in the data or not', async () => {
    const { harness, send, values, health } = await plantWith({ tags });
    await send('NBIRTH', 0, []);
    await send('DBIRTH', 1, birth(10), 'pump-a');
    await send('DBIRTH', 2, birth(20), 'pump-b');
    await send('DDATA', 3, [{ alias: 1, double: 11 }], 'pump-a');
    await send('DDATA', 4, [{ name: 'Pressure', alias: 1, double: 21 }], 'pump-b');
    await harness.batches.when(([first]) => first?.value === 21);
    expect(values()).toEqual({ a: 11, b: 21 });
    expect(health()).toMatchObject({ status: 'ok' });
  });

  test('that is not in the birth is left out, and health names it', async () => {
    const { harness, send, values, health } = await plantWith({ tags: { ...tags, n: of('N') } });
    await send('NBIRTH', 0, [{ name: 'N', alias: 1, dataType: Double, double: 1 }]);
    await send('DBIRTH', 1, [{ name: 'Pressure', alias: 2, dataType: Double, double: 10 }], 'pump-a');
    await send('DDATA', 2, [{ alias: 1, double: 99 }], 'pump-a');
    await send('NDATA', 3, [{ alias: 1, double: 3 }]);
    await harness.batches.when(([first]) => first?.value === 3);
    expect(values()).toMatchObject({ a: 10, n: 3 });
    expect(health()?.reason).toContain(
      'acme/line-2/pump-a: alias 1 is not in its birth, so its values are left out. Restart the edge node, or send it a rebirth request',
    );
  });

  describe('with two names in one birth', () => {
    const metric = (name: string, double: number) => ({ name, alias: 7, dataType: Double, double });
    const shared = [metric('A', 1), metric('B', 2), { name: 'C', alias: 8, dataType: Double, double: 3 }];
    const abc = { a: of('A'), b: of('B'), c: of('C') };

    test('makes the tags of both bad when a value comes by the alias alone, until one comes by name', async () => {
      const { harness, send, values, health, received } = await plantWith({ tags: abc, rebirth: true });
      await send('NBIRTH', 0, shared);
      await send('NDATA', 1, [{ alias: 8, double: 4 }]);
      await harness.batches.when(([first]) => first?.value === 4);
      expect(values()).toEqual({ a: 1, b: 2, c: 4 });
      await send('NDATA', 2, [{ alias: 7, double: 99 }]);
      await harness.batches.when(([first]) => first?.reason === 'payload-invalid');
      expect(values()).toEqual({ a: 'bad payload-invalid', b: 'bad payload-invalid', c: 4 });
      expect(health()?.reason).toBe(
        'the birth of edge node acme/line-2 uses aliases twice: alias 7 is A and B. Their values are read by name only. ' +
          'Give each metric its own alias in the edge node; A: a value came with alias 7 only, which is A and B; B: a value came with alias 7 only, which is A and B',
      );
      await send('NDATA', 3, [metric('A', 3)]);
      await harness.batches.when(([first]) => first?.value === 3);
      expect(values()).toEqual({ a: 3, b: 'bad payload-invalid', c: 4 });
      // The same birth would come again. The only request is that of the start.
      expect(received.items.filter(({ topic }) => topic.includes('/NCMD/'))).toHaveLength(1);
    });

    test('makes all tags good again at a birth without it', async () => {
      const { harness, send, values, health } = await plantWith({ tags: abc });
      await send('NBIRTH', 0, []);
      await send('DBIRTH', 1, [], 'other');
      await send('NBIRTH', 0, shared);
      await send('NDATA', 1, [{ alias: 7, double: 99 }]);
      await send(
        'NBIRTH',
        0,
        shared.map((each, alias) => ({ ...each, alias })),
      );
      await send('NDATA', 1, [{ alias: 1, double: 5 }]);
      await harness.batches.when(([first]) => first?.value === 5);
      expect(values()).toEqual({ a: 1, b: 5, c: 3 });
      expect(health()?.reason).not.toContain('twice');
    });

    test('does not concern another device with the alias', async () => {
      const { harness, send, values } = await plantWith({ tags: { ...abc, d: of('D', 'pump') } });
      await send('NBIRTH', 0, shared);
      await send('DBIRTH', 1, [metric('D', 6)], 'pump');
      await send('DDATA', 2, [{ alias: 7, double: 7 }], 'pump');
      await harness.batches.when(([first]) => first?.value === 7);
      expect(values()).toEqual({ a: 1, b: 2, c: 3, d: 7 });
    });
  });
});

test('a metric that is twice in a birth is not read', async () => {
  const { harness, send, values, health } = await plantWith({ tags: { a: of('A'), b: of('B') } });
  const metric = (name: string, alias: number, double: number) => ({ name, alias, dataType: Double, double });
  await send('NBIRTH', 0, [metric('A', 1, 10), metric('A', 2, 20), metric('B', 3, 30)]);
  await send('NDATA', 1, [
    { alias: 1, double: 11 },
    { alias: 3, double: 31 },
  ]);
  await harness.batches.when(([first]) => first?.value === 31);
  expect(values()).toMatchObject({ b: 31 });
  expect(harness.last('a')?.quality).not.toBe('good');
  expect(health()?.reason).toBe('the birth of edge node acme/line-2 has no numeric metric A (it is there twice)');
});

/** Values and the faults in health of a birth with the metric X. */
async function bornAs(metric: RawMetric) {
  const { harness, send, values, health } = await plantWith({ tags: { x: of('X') } });
  await send('NBIRTH', 0, [{ name: 'X', ...metric }]);
  const [sample] = await harness.batches.when(() => true);
  return { ...values(), sample, reason: health()?.reason };
}

describe('an integer', () => {
  test.each<[string, RawMetric, number]>([
    ['Int32 in long_value, 32 bits', { dataType: Int32, long: 4_294_967_284n }, -12],
    ['Int32 in long_value, sign-extended', { dataType: Int32, long: -12n }, -12],
    ['Int16 in long_value', { dataType: Int16, long: 65_524n }, -12],
    ['Int8 in int_value, sign-extended', { dataType: Int8, int: 4_294_967_284 }, -12],
    ['Int8 in int_value, 8 bits', { dataType: Int8, int: 244 }, -12],
    ['UInt16 in long_value', { dataType: UInt16, long: 65_524n }, 65_524],
    ['Int64 in int_value', { dataType: Int64, int: 12 }, 12],
    ['Boolean in int_value', { dataType: dataTypes.Boolean, int: 1 }, 1],
  ])('%s', async (_title, metric, expected) => {
    expect(await bornAs(metric)).toMatchObject({ x: expected, reason: '' });
  });

  test.each<[string, RawMetric, string]>([
    [
      'Int64 in int_value that may be negative',
      { dataType: Int64, int: 4_294_967_284 },
      '4294967284, which is not an Int64',
    ],
    ['Int32 out of its range', { dataType: Int32, long: 5_000_000_000n }, '5000000000, which is not an Int32'],
    ['UInt8 out of its range', { dataType: UInt8, int: 300 }, '300, which is not an UInt8'],
    ['without a datatype', { int: 244 }, 'the integer 244 without a datatype'],
    ['of an unknown datatype', { dataType: 99, int: 244 }, 'the integer 244 of type 99'],
  ])('%s is bad, and named', async (_title, metric, found) => {
    const reason = `acme/line-2/X: expected a number, found ${found}`;
    expect(await bornAs(metric)).toMatchObject({ x: 'bad payload-invalid', reason });
  });
});

test('a text is a number by its digits, by true and false, or by the map of its tag; others and null are named', async () => {
  const metrics = ['digits', 'flag', 'state', 'other', 'null'];
  const tags = Object.fromEntries(metrics.map((name) => [name, { ...of(name), map: { Running: 1, Stopped: 0 } }]));
  const { harness, send, values, health } = await plantWith({ tags });
  const text = (name: string, value: string) => ({ name, dataType: Text, text: value });
  await send('NBIRTH', 0, [
    text('digits', ' 21.5'),
    text('flag', 'True'),
    text('state', 'RUNNING'),
    text('other', 'Tripped'),
    { name: 'null', dataType: Double, isNull: true },
  ]);
  await harness.batches.when(() => true);
  expect(values()).toEqual({
    digits: 21.5,
    flag: 1,
    state: 1,
    other: 'bad payload-invalid',
    null: 'bad payload-invalid',
  });
  expect(health()?.reason).toBe(
    'acme/line-2/other: expected a number, found "Tripped"; acme/line-2/null: expected a number, found null',
  );
});

test.each([
  ['seconds', TIME_MS / 1000],
  ['microseconds', TIME_MS * 1000],
  ['nanoseconds', TIME_MS * 1_000_000],
])('a time in %s is converted', async (_title, timestamp) => {
  const { sample } = await bornAs({ timestamp, dataType: Double, double: 1 });
  expect(sample).toMatchObject({ timeMs: TIME_MS, quality: 'good' });
});

test.each([86_400, 0])('the time %d of a device with an unset clock is uncertain, and named', async (timestamp) => {
  const reason = `acme/line-2/X: expected a time in epoch milliseconds, found ${timestamp}`;
  const born = await bornAs({ timestamp, dataType: Double, double: 1 });
  expect(born).toMatchObject({ x: 'uncertain time-invalid', reason });
});

describe('a template', () => {
  const tags = {
    temp: of('Motor 1/Temp', 'line'),
    speed: of('Motor 1/Drive/Speed', 'line'),
    motor: of('Motor 1', 'line'),
    plain: of('Plain', 'line'),
  };
  const drive = (speed: RawMetric) => ({ name: 'Drive', dataType: TEMPLATE, template: { members: [speed] } });
  const birth = [
    {
      name: '_types_/Motor',
      dataType: TEMPLATE,
      template: { isDefinition: true, members: [{ name: 'Temp', int: 0 }] },
    },
    {
      name: 'Motor 1',
      alias: 1,
      dataType: TEMPLATE,
      template: {
        members: [
          { name: 'Temp', alias: 2, dataType: Double, double: 61.5 },
          drive({ name: 'Speed', dataType: Int16, int: 65_535 }),
        ],
      },
    },
    { name: 'Plain', dataType: Double, double: 5 },
  ];

  test('is read through its members, which take the datatypes of the birth; a tag of the template itself is named', async () => {
    const { harness, send, values, health } = await plantWith({ tags });
    await send('NBIRTH', 0, []);
    await send('DBIRTH', 1, birth, 'line');
    await harness.batches.when(() => true);
    expect(values()).toMatchObject({ temp: 61.5, speed: -1, plain: 5 });
    expect(health()?.reason).toBe(
      'the birth of device acme/line-2/line has no numeric metric Motor 1 (it is a template, whose members have the values)',
    );
    const members = [{ name: 'Temp', double: 62.5 }, drive({ name: 'Speed', int: 65_534 })];
    await send('DDATA', 2, [{ alias: 1, template: { members } }], 'line');
    await harness.batches.when(([first]) => first?.value === 62.5);
    expect(values()).toMatchObject({ temp: 62.5, speed: -2, plain: 5 });
    await send('DDATA', 3, [{ alias: 1, template: { members: [{ alias: 2, double: 63.5 }] } }], 'line');
    await harness.batches.when(([first]) => first?.value === 63.5);
    expect(values()).toMatchObject({ temp: 63.5, speed: -2 });
  });

  test('that is null makes its members bad', async () => {
    const { harness, send, values } = await plantWith({ tags });
    await send('NBIRTH', 0, []);
    await send('DBIRTH', 1, birth, 'line');
    await send('DDATA', 2, [{ alias: 1, isNull: true }], 'line');
    await harness.batches.when(([first]) => first?.tag === 'temp' && first.quality === 'bad');
    expect(values()).toMatchObject({ temp: 'bad payload-invalid', speed: 'bad payload-invalid', plain: 5 });
  });
});

test('a tag of a data set is named with its kind', async () => {
  const { send, health } = await plantWith({ tags: { x: of('X') } });
  await send('NBIRTH', 0, [{ name: 'X', dataType: 16, dataSet: true }]);
  await expect
    .poll(() => health()?.reason)
    .toBe('the birth of edge node acme/line-2 has no numeric metric X (it is a data set)');
});

test('a late death with its number by alias alone belongs to its own session', async () => {
  const { send, values, harness, leftOut } = await plantWith({ tags: { x: of('X') } });
  await send('NBIRTH', 0, [
    { name: 'bdSeq', alias: 9, dataType: Int64, long: 4n },
    { name: 'X', dataType: Double, double: 1 },
  ]);
  await send('NDEATH', undefined, [{ alias: 9, long: 3n }]);
  await expect.poll(() => leftOut('old-death')).toBe(1);
  expect(values()).toEqual({ x: 1 });
  await send('NDEATH', undefined, [{ alias: 9, long: 4n }]);
  await harness.batches.when(([first]) => first?.reason === 'device-offline');
});

describe('the state of the host', () => {
  const stateOf = (payload: Buffer): { online: boolean; timestamp: number } => JSON.parse(payload.toString());

  test('has the time of the will in its birth, also after a reconnect', async () => {
    const broker = own(await MqttBroker.listen({ port: 0 }));
    const wills: number[] = [];
    const clients: { close(): void }[] = [];
    broker.aedes.on('client', (client) => {
      const { will } = client as unknown as { will?: { payload: Buffer } };
      if (will === undefined) return;
      wills.push(stateOf(will.payload).timestamp);
      clients.push(client);
    });
    const { received } = await sparkplugPlant(broker.url, own, { tags: { x: of('X') }, hostId: 'andon-1' });
    const online = (from = 0) => received.when(({ payload }) => stateOf(payload).online, from);
    expect(stateOf((await online()).payload).timestamp).toBe(wills[0]);
    const from = received.items.length;
    clients[0]?.close();
    expect(stateOf((await online(from)).payload).timestamp).toBe(wills[1]);
  });

  test('is published again when another client publishes offline, and health names it', async () => {
    const { received, say, health } = await plantWith({ tags: { x: of('X') }, hostId: 'andon-1' });
    await received.when(({ payload }) => stateOf(payload).online);
    const timestamp = Date.now() + 5;
    const from = received.items.length;
    await say('spBv1.0/STATE/andon-1', Buffer.from(JSON.stringify({ online: false, timestamp })), true);
    const again = await received.when(({ payload }) => stateOf(payload).online, from);
    expect(stateOf(again.payload).timestamp).toBeGreaterThanOrEqual(timestamp);
    expect(health()?.reason).toContain('spBv1.0/STATE/andon-1: another client published {"online":false,');
  });
});

describeWith(['mosquitto'], 'a host id on a broker without retained messages', () => {
  test.each([
    ['3.1.1', 'A broker without retained messages closes it at the login: hostId needs them'],
    ['5', 'hostId needs a broker with retained messages'],
  ])('is named in health with MQTT %s', async (protocolVersion, hint) => {
    const broker = own(await Mosquitto.start({ lines: ['retain_available false'] }));
    const { health } = await sparkplugPlant(broker.url, own, {
      tags: { x: of('X') },
      hostId: 'andon-1',
      protocolVersion,
    });
    expect(health()?.reason).toContain(hint);
  });
});
