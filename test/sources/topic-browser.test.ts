import { afterEach, expect, test } from 'vitest';
import type { Source, TopicListing } from '../../src/contracts/source.ts';
import { mqttKind } from '../../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../../src/sources/mqtt/mqtt-source.ts';
import { PayloadReader, topicValues } from '../../src/sources/mqtt/topic-values.ts';
import { MetricReader } from '../../src/sources/sparkplug/metric-reader.ts';
import { dataTypes } from '../../src/protocols/sparkplug/sparkplug-payload.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith } from '../support/programs.ts';
import { SourceHarness } from '../support/source-harness.ts';
import { rawSparkplug } from '../support/sparkplug-encoder.ts';
import { sparkplugPlant } from '../support/sparkplug-plant.ts';
import { testDeps } from '../support/test-deps.ts';

const TIME_MS = 1_780_000_000_000;
const FOR_MS = 100;
/** Longer than any test: these listings end for another reason. */
const LONG_MS = 3_600_000;

let opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

/** Lists until there are so many topics: messages follow the answer to the subscription, on a busy machine after the listing. */
async function listed(source: Source, count: number, filter?: string): Promise<TopicListing | undefined> {
  for (;;) {
    const listing = await source.browseTopics?.({ filter, forMs: FOR_MS });
    if (listing === undefined || listing.topics.length >= count) return listing;
  }
}

test.each<readonly [string, readonly (readonly [string, number, string | undefined])[]]>([
  ['12.5', [['acme.press', 12.5, undefined]]],
  ['true', [['acme.press', 1, undefined]]],
  [
    '{"rms":0.7,"axis":{"x":1,"a b":"2"},"text":"a","list":[3,{"v":4}]}',
    [
      ['acme.press.rms', 0.7, '$.rms'],
      ['acme.press.axis.x', 1, '$.axis.x'],
      ['acme.press.axis.a b', 2, "$.axis['a b']"],
      ['acme.press.list.0', 3, '$.list[0]'],
      ['acme.press.list.1.v', 4, '$.list[1].v'],
    ],
  ],
  ['no number', []],
])('the payload %s has these values', (payload, values) => {
  const found = topicValues('acme/press', payload).map(({ name, value, tag }) => [name, value, tag['value']]);
  expect(found).toEqual(values);
});

test('a payload that is not text has no text and no values', () => {
  const reader = new PayloadReader();
  reader.accept('a', Buffer.from([0xff, 0x00, 0x80]));
  expect(reader.topics()).toEqual([{ topic: 'a', messages: 1, payload: undefined, values: [], unnamed: 0 }]);
});

test('a metric with an alias gets its name from the birth, and is counted without one', () => {
  const reader = new MetricReader(() => undefined);
  const data = rawSparkplug(TIME_MS, 1, [{ alias: 4, double: 2.5 }]);
  reader.accept('spBv1.0/acme/DDATA/line-2/pump', data);
  expect(reader.topics()).toMatchObject([{ topic: 'acme/line-2/pump', values: [], unnamed: 1 }]);
  const birth = [{ name: 'Motor/Speed', alias: 4, dataType: dataTypes.Double, double: 1 }];
  reader.accept('spBv1.0/acme/DBIRTH/line-2/pump', rawSparkplug(TIME_MS, 2, birth));
  reader.accept('spBv1.0/acme/DDATA/line-2/pump', data);
  const tag = { group: 'acme', edgeNode: 'line-2', device: 'pump', metric: 'Motor/Speed' };
  expect(reader.topics()).toMatchObject([
    { unnamed: 0, messages: 3, values: [{ name: 'pump.Motor.Speed', value: 2.5, tag }] },
  ]);
});

describeWith(['mosquitto'], 'topics of a broker', () => {
  async function started(settings: Record<string, unknown> = {}) {
    const broker = own(await Mosquitto.start(settings));
    const config = mqttKind.schema.parse({
      type: 'mqtt',
      url: broker.url,
      // The listing must not take over the session of the source.
      clientId: 'chosen',
      reconnectMin: '20ms',
      tags: { speed: { topic: 'acme/speed' } },
    });
    const { tagNumbers, bindTag, sink, stateFolder, history, batches } = new SourceHarness(['speed']);
    const deps = testDeps();
    const source = own(new MqttSource({ id: 'cell', config, tagNumbers, bindTag, sink, history, stateFolder, deps }));
    source.start();
    const peer = await sparkplugPlant(broker.url, own, { tags: { x: { group: 'g', edgeNode: 'e', metric: 'x' } } });
    return { broker, source, batches, deps, say: peer.say };
  }

  test('are listed while the source is read, which receives nothing twice', async () => {
    const { source, batches, say, deps } = await started();
    await say('acme/speed', Buffer.from('1480'), true);
    await say('acme/press', Buffer.from('{"rms":0.7}'), true);
    await batches.when(([first]) => first?.value === 1480);
    expect(await listed(source, 2)).toEqual({
      isComplete: true,
      topics: [
        {
          topic: 'acme/press',
          messages: 1,
          payload: '{"rms":0.7}',
          values: [{ name: 'acme.press.rms', value: 0.7, tag: { topic: 'acme/press', value: '$.rms' } }],
          unnamed: 0,
        },
        expect.objectContaining({ topic: 'acme/speed', payload: '1480' }),
      ],
    });
    expect(batches.items).toHaveLength(1);
    expect(deps.health.components()).toMatchObject([{ name: 'source/cell', status: 'ok' }]);
  });

  test('are those of the filter', async () => {
    const { source, say } = await started();
    for (const topic of ['acme/a', 'acme/b/c', 'other']) await say(topic, Buffer.from('1'), true);
    const listing = await listed(source, 2, 'acme/#');
    expect(listing?.topics.map(({ topic }) => topic)).toEqual(['acme/a', 'acme/b/c']);
  });

  test('are at most 1,000: the listing ends early, and is marked as incomplete', async () => {
    const { source, say } = await started();
    await Promise.all(Array.from({ length: 1001 }, (_, topic) => say(`acme/${topic}`, Buffer.from('1'), true)));
    const listing = await source.browseTopics({ filter: undefined, forMs: LONG_MS });
    expect(listing.isComplete).toBe(false);
    expect(listing.topics).toHaveLength(1000);
  });

  test('are listed for one person at a time, and for nobody once the source ends', async () => {
    const { source } = await started();
    const first = source.browseTopics({ filter: undefined, forMs: LONG_MS });
    const second = source.browseTopics({ filter: undefined, forMs: LONG_MS });
    await expect(second).rejects.toMatchObject({ code: 'mqtt-browser-busy' });
    await source[Symbol.asyncDispose]();
    expect(await first).toEqual({ topics: [], isComplete: true });
  });

  test('are not listed without the broker, with the reason', async () => {
    const { broker, source } = await started();
    await broker.kill();
    const listing = source.browseTopics({ filter: undefined, forMs: LONG_MS });
    await expect(listing).rejects.toMatchObject({
      code: 'mqtt-browse-failed',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });
});

describeWith(['mosquitto'], 'metrics of Sparkplug', () => {
  test('have the names of the birth that the source received before the listing', async () => {
    const broker = own(await Mosquitto.start());
    const of = (metric: string) => ({ group: 'acme', edgeNode: 'line-2', metric });
    const { harness, say, source } = await sparkplugPlant(broker.url, own, { tags: { speed: of('Speed') } });
    const metric = (name: string, alias: number) => ({ name, alias, dataType: dataTypes.Double, double: 1 });
    await say('spBv1.0/acme/NBIRTH/line-2', rawSparkplug(TIME_MS, 0, [metric('Speed', 1), metric('Heat', 2)]));
    await harness.batches.when(([first]) => first?.tag === 'speed');
    const data = rawSparkplug(TIME_MS, undefined, [{ alias: 2, double: 80.5 }]);
    const timer = setInterval(() => void say('spBv1.0/acme/NDATA/line-2', data), 10);
    await using _timer = { [Symbol.asyncDispose]: async () => clearInterval(timer) };
    const values = (await listed(source, 1))?.topics[0]?.values;
    expect(values).toEqual([{ name: 'line-2.Heat', value: 80.5, tag: of('Heat') }]);
  });
});
