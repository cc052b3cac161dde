import { afterEach, describe, expect, test } from 'vitest';
import {
  dataTypes,
  decodeSparkplug,
  encodeSparkplug,
  type SparkplugMetricDraft,
} from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { MqttBroker } from '../../../src/plant/mqtt-broker.ts';
import { nodeBirth, nodeData } from '../../support/sparkplug-bytes.ts';
import { sparkplugPlant } from '../../support/sparkplug-plant.ts';
import { metricValue } from '../../support/test-deps.ts';

const TIME_MS = 1_780_000_000_000;
const NODE = 'spBv1.0/acme/NBIRTH/line-2';
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

async function plantWith(settings: Record<string, unknown>, tagsMax?: number) {
  const broker = own(await MqttBroker.listen({ port: 0 }));
  return { broker, ...(await sparkplugPlant(broker.url, own, settings, tagsMax)) };
}

const double = (name: string, value: number): SparkplugMetricDraft => ({
  name,
  timestampMs: TIME_MS,
  dataType: dataTypes.Double,
  value,
});
const payload = (sequence: number | undefined, ...metrics: readonly SparkplugMetricDraft[]) =>
  encodeSparkplug(TIME_MS, sequence, metrics);
const bdSeq = (value: number): SparkplugMetricDraft => ({
  name: 'bdSeq',
  timestampMs: TIME_MS,
  dataType: dataTypes.UInt64,
  value,
});

describe('an edge node of another program', () => {
  const tags = Object.fromEntries(
    ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'float', 'double', 'bool', 'text'].map((name) => [
      name,
      of(name),
    ]),
  );

  test('gives every kind of number from its birth, and nothing else', async () => {
    const { harness, say, health } = await plantWith({ tags });
    await say(NODE, nodeBirth);
    const birth = await harness.batches.when(([first]) => first?.tag === 'i8');
    expect(Object.fromEntries(birth.map(({ tag, value }) => [tag, value]))).toEqual({
      i8: -5,
      i16: -300,
      i32: -70_000,
      i64: -7,
      u8: 250,
      u16: 65_000,
      u32: 4_000_000_000,
      u64: 2 ** 53,
      float: 1.5,
      double: 0.1,
      bool: 1,
      text: Number.NaN,
    });
    const notGood = birth.filter(({ quality }) => quality !== 'good');
    expect(notGood.map(({ tag, quality, reason }) => `${tag} ${quality} ${reason}`)).toEqual([
      'u64 uncertain precision-lost',
      'text bad payload-invalid',
    ]);
    expect(birth[0]?.timeMs).toBe(TIME_MS);
    expect(health()?.reason).toBe(
      'acme/line-2/u64: the integer 9007199254740992 has more digits than a double can hold; acme/line-2/text: expected a number, found "on"',
    );
  });

  test('is decoded by alias, with the types of the birth; historical values go to the history only', async () => {
    const { harness, deps, say } = await plantWith({ tags });
    await say(NODE, nodeBirth);
    await say('spBv1.0/acme/NDATA/line-2', nodeData);
    const data = await harness.batches.when(([first]) => first?.timeMs === TIME_MS + 1000);
    expect(data.map(({ tag, value, quality, reason }) => [tag, value, quality, reason])).toEqual([
      ['i8', -1, 'good', 'none'],
      ['i16', -2, 'good', 'none'],
      ['i64', -9, 'good', 'none'],
      ['u32', 4_000_000_001, 'good', 'none'],
      ['float', 2.5, 'bad', 'marked-not-good'],
      ['bool', Number.NaN, 'bad', 'payload-invalid'],
    ]);
    expect(harness.past).toMatchObject([{ tag: 'double', value: 99.5, timeMs: TIME_MS + 1000, quality: 'good' }]);
    for (const reason of ['data-set', 'bytes'])
      expect(await metricValue(deps, `andon_sparkplug_metrics_left_out_total{source="line",reason="${reason}"}`)).toBe(
        1,
      );
  });
});

describe('a value is valid only in a session without gaps', () => {
  const tags = { pressure: of('Pressure', 'pump-1'), load: of('Load') };
  const birth = [NODE, payload(0, bdSeq(3), double('Load', 1))] as const;
  const deviceBirth = ['spBv1.0/acme/DBIRTH/line-2/pump-1', payload(1, double('Pressure', 5))] as const;
  const deviceData = (sequence: number, value: number) =>
    ['spBv1.0/acme/DDATA/line-2/pump-1', payload(sequence, double('Pressure', value))] as const;

  async function born(settings: Record<string, unknown> = {}) {
    const plant = await plantWith({ tags, ...settings });
    await plant.say(...birth);
    await plant.say(...deviceBirth);
    await plant.harness.batches.when(([first]) => first?.tag === 'pressure' && first.value === 5);
    return plant;
  }

  test('the death of a device makes its tags bad, and the death of the edge node makes all tags bad', async () => {
    const { harness, say, health } = await born();
    await say('spBv1.0/acme/DDEATH/line-2/pump-1', payload(2));
    await harness.batches.when(([first]) => first?.reason === 'device-offline');
    expect(harness.last('pressure')).toMatchObject({ quality: 'bad', reason: 'device-offline' });
    expect(harness.last('load')).toMatchObject({ quality: 'good' });
    expect(health()).toMatchObject({ status: 'degraded', reason: 'device acme/line-2/pump-1 is dead' });
    await say('spBv1.0/acme/NDEATH/line-2', payload(undefined, bdSeq(3)));
    await harness.batches.when(([first]) => first?.tag === 'load' && first.reason === 'device-offline');
    expect(health()).toMatchObject({ status: 'degraded', reason: 'edge node acme/line-2 is dead' });
    await say(...birth);
    await harness.batches.when(([first]) => first?.tag === 'load' && first.quality === 'good', 4);
    expect(health()?.reason).toBe('device acme/line-2/pump-1 has not sent a birth');
    await say(...deviceBirth);
    await harness.batches.when(([first]) => first?.tag === 'pressure' && first.quality === 'good', 5);
    expect(health()).toMatchObject({ status: 'ok' });
  });

  test('a metric of a tag that the birth does not contain is reported until the next birth', async () => {
    const { say, health } = await plantWith({ tags: { ...tags, typo: of('Presure', 'pump-1') } });
    await say(...birth);
    await say(...deviceBirth);
    await expect
      .poll(() => health())
      .toMatchObject({
        status: 'degraded',
        reason: 'the birth of device acme/line-2/pump-1 has no numeric metric Presure',
      });
    await say('spBv1.0/acme/DBIRTH/line-2/pump-1', payload(2, double('Pressure', 5), double('Presure', 6)));
    await expect.poll(() => health()).toMatchObject({ status: 'ok' });
  });

  test('the death of a device without tags is not reported', async () => {
    const { harness, say, health } = await born();
    await say('spBv1.0/acme/DDEATH/line-2/spare', payload(2));
    await say(...deviceData(3, 6));
    await harness.batches.when(([first]) => first?.value === 6);
    expect(health()).toMatchObject({ status: 'ok', reason: '' });
  });

  test('the late death of an earlier session changes nothing', async () => {
    const { harness, say, leftOut } = await born();
    await say('spBv1.0/acme/NDEATH/line-2', payload(undefined, bdSeq(2)));
    await say(...deviceData(2, 6));
    await harness.batches.when(([first]) => first?.value === 6);
    expect(harness.batches.items.flat().every(({ reason }) => reason === 'none')).toBe(true);
    expect(await leftOut('old-death')).toBe(1);
  });

  test('a lost message makes every tag bad until the next birth, and andon does not write to the device', async () => {
    const { harness, say, received, health, leftOut } = await born();
    await say(...deviceData(3, 6));
    await harness.batches.when(([first]) => first?.reason === 'sequence-lost');
    expect(harness.last('pressure')).toMatchObject({ quality: 'bad', reason: 'sequence-lost' });
    expect(harness.last('load')).toMatchObject({ quality: 'bad', reason: 'sequence-lost' });
    expect(health()?.reason).toBe('messages of edge node acme/line-2 were lost; its tags are bad until its next birth');
    await say(...deviceData(4, 7));
    await say(...birth);
    await say(...deviceBirth);
    await harness.batches.when(([first]) => first?.tag === 'pressure' && first.value === 5, 4);
    expect(harness.batches.items.flat().map(({ value }) => value)).not.toContain(7);
    expect([await leftOut('gap'), await leftOut('not-born')]).toEqual([1, 1]);
    expect(received.items.filter(({ topic }) => topic.includes('NCMD'))).toEqual([]);
  });

  test('a message that is delivered twice counts once', async () => {
    const { harness, say, leftOut } = await born();
    for (const message of [deviceData(2, 6), deviceData(2, 6), deviceData(3, 8)]) await say(...message);
    await harness.batches.when(([first]) => first?.value === 8);
    expect(harness.batches.items.flat().map(({ value }) => value)).toEqual([1, 5, 6, 8]);
    expect(await leftOut('repeat')).toBe(1);
  });

  test('the sequence number after 255 is 0', async () => {
    const { harness, say } = await born();
    for (let message = 2; message < 600; message += 1) await say(...deviceData(message % 256, message));
    await harness.batches.when(([first]) => first?.value === 599);
    expect(harness.batches.items.flat().every(({ quality }) => quality === 'good')).toBe(true);
  });

  test('values of an edge node without a received birth are dropped', async () => {
    const { harness, say, health, leftOut } = await plantWith({ tags });
    await say(...deviceData(2, 6));
    await expect.poll(() => leftOut('not-born')).toBe(1);
    expect(health()?.reason).toBe('edge node acme/line-2 has not sent a birth since andon subscribed');
    expect(harness.batches.items.flat().map(({ value }) => value)).not.toContain(6);
  });

  test('with rebirth on, births are requested at the start and after a loss', async () => {
    const { harness, say, received, deps } = await born({ rebirth: true });
    await say(...deviceData(9, 6));
    await harness.batches.when(([first]) => first?.reason === 'sequence-lost');
    const asked = deps.metrics;
    expect(await asked.text()).toContain('andon_sparkplug_rebirths_requested_total{source="line"} 1');
    const commands = received.items.filter(({ topic }) => topic === 'spBv1.0/acme/NCMD/line-2');
    for (const command of commands) {
      const { metrics, sequence } = decodeSparkplug(command.payload);
      expect(sequence).toBeUndefined();
      expect(metrics).toMatchObject([
        { name: 'Node Control/Rebirth', dataType: dataTypes.Boolean, value: { kind: 'boolean', value: true } },
      ]);
    }
  });

  test('the loss of the broker makes every tag bad, and a birth after its return makes them good', async () => {
    const { broker, harness } = await born();
    await broker[Symbol.asyncDispose]();
    const lost = await harness.batches.when(([first]) => first?.reason === 'link-down');
    expect(lost.map(({ tag }) => tag).toSorted()).toEqual(['load', 'pressure']);
  });
});

test('a pattern creates tags for the metrics of a birth, up to maxTags; the rest is counted and named', async () => {
  const patterns = {
    any: { group: 'acme', edgeNode: '+', device: '{device}', metric: '{metric}', tag: '{device}.{metric}' },
  };
  const { harness, say, deps, health } = await plantWith({ patterns }, 3);
  await say(NODE, payload(0, double('Load', 1)));
  const metrics = ['Motor/Current', 'Pressure', 'Flow', 'Speed', 'a+b'].map((name, index) => double(name, index));
  await say('spBv1.0/acme/DBIRTH/line-2/pump-1', payload(1, ...metrics));
  const batch = await harness.batches.when(() => true);
  expect(batch.map(({ tag, value }) => [tag, value])).toEqual([
    ['pump-1.Motor.Current', 0],
    ['pump-1.Pressure', 1],
    ['pump-1.Flow', 2],
  ]);
  expect(await metricValue(deps, 'andon_sparkplug_metrics_left_out_total{source="line",reason="too-many"}')).toBe(2);
  expect(health()?.reason).toContain('acme/line-2/pump-1/Speed is dropped');
});

test('a pattern creates no tag for a metric without a single value, even if it is null', async () => {
  const patterns = { any: { group: 'acme', edgeNode: '+', metric: '{metric}', tag: '{metric}' } };
  const { harness, say, deps } = await plantWith({ patterns }, 1);
  const template = { name: 'Template', timestampMs: TIME_MS, dataType: 19, value: undefined };
  await say(NODE, payload(0, template, double('Load', 1)));
  const batch = await harness.batches.when(() => true);
  expect(batch.map(({ tag, value }) => [tag, value])).toEqual([['Load', 1]]);
  expect(await deps.metrics.text()).not.toContain('reason="too-many"');
});

test('an invalid payload is counted and named, and the others are processed', async () => {
  const { harness, say, health, leftOut } = await plantWith({ tags: { load: of('Load') } });
  await say(NODE, payload(0, double('Load', 1)));
  await say('spBv1.0/acme/NDATA/line-2', Buffer.from('{"value":1}'));
  await say('spBv1.0/acme/NDATA/line-2', payload(1, double('Load', 2)));
  await harness.batches.when(([first]) => first?.value === 2);
  expect(await leftOut('payload-invalid')).toBe(1);
  expect(health()?.reason).toContain('spBv1.0/acme/NDATA/line-2: The payload is not Sparkplug B');
});

test('a host application with an id publishes its state at the start and at the stop', async () => {
  const { received, source } = await plantWith({ tags: { load: of('Load') }, hostId: 'andon-1' });
  const state = async (online: boolean) =>
    received.when(
      ({ topic, payload: text }) => topic === 'spBv1.0/STATE/andon-1' && text.includes(`"online":${online}`),
    );
  await expect(state(true)).resolves.toBeDefined();
  await source[Symbol.asyncDispose]();
  await expect(state(false)).resolves.toBeDefined();
});
