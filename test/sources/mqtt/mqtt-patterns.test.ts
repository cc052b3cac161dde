import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { matchesTemplate, fillTagTemplate, parseTagTemplate } from '../../../src/domain/sample/tag-template.ts';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { MqttSource } from '../../../src/sources/mqtt/mqtt-source.ts';
import { matchTopicPattern, parseTopicPattern, topicFilterOf } from '../../../src/sources/mqtt/topic-pattern.ts';
import { publishPacket, RawBroker } from '../../support/broker-raw.ts';
import { SourceHarness } from '../../support/source-harness.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

let opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  opened = [];
});

function own<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

/** A started source on a raw broker, which can send any topic. */
async function sourceWith(settings: Record<string, unknown>, tagsMax?: number) {
  const broker = own(await RawBroker.listen());
  const deps = testDeps();
  const config = mqttKind.schema.parse({ type: 'mqtt', url: broker.url, protocolVersion: '3.1.1', ...settings });
  const harness = new SourceHarness(Object.keys(config.tags), tagsMax);
  const { tagNumbers, bindTag, sink, stateFolder, history } = harness;
  own(new MqttSource({ id: 'cell', config, tagNumbers, bindTag, sink, stateFolder, history, deps })).start();
  await broker.whenReceived('subscribe');
  const send = (topic: string | Buffer, payload: string) => broker.send(publishPacket(topic, payload));
  const reason = () => deps.health.components()[0]?.reason;
  return { broker, harness, deps, send, reason };
}

const leftOut = (reason: string) => `andon_mqtt_topics_left_out_total{source="cell",pattern="any",reason="${reason}"}`;
const any = { topic: 'acme/+/{asset}/{name}', tag: '{asset}.{name}' };

describe('a pattern', () => {
  test('creates a tag for each matching topic, in one subscription', async () => {
    const { broker, harness, send } = await sourceWith({ patterns: { any } });
    expect(broker.received('subscribe')[0]?.body.toString()).toContain('acme/+/+/+');
    send('acme/lyon/pump-1/speed', '1480');
    send('acme/lyon/pump-2/speed', '1490');
    send('acme/lyon/pump-1/speed', '1481');
    await harness.batches.count(3);
    expect(harness.batches.items.flat().map(({ tag, value }) => [tag, value])).toEqual([
      ['pump-1.speed', 1480],
      ['pump-2.speed', 1490],
      ['pump-1.speed', 1481],
    ]);
  });

  test('creates at most maxTags tags; further topics are counted, named, and not stored', async () => {
    const { harness, deps, send, reason } = await sourceWith({ patterns: { any: { ...any, maxTags: 2 } } }, 2);
    for (let index = 0; index < 2000; index += 1) send(`acme/lyon/pump-${index}/speed`, '1');
    send('acme/lyon/pump-1/speed', '2');
    await harness.batches.when(([first]) => first?.value === 2);
    expect(harness.names).toEqual(['pump-0.speed', 'pump-1.speed']);
    expect(await metricValue(deps, leftOut('too-many'))).toBe(1998);
    expect(reason()).toMatch(/^pattern any has made 2 tags, its maxTags; acme.lyon.pump-\d+.speed is left out$/);
  });

  test('never writes two topics to one tag', async () => {
    const { harness, deps, send, reason } = await sourceWith({ patterns: { any } });
    send('acme/lyon/pump-1/speed', '1480');
    send('acme/paris/pump-1/speed', '9');
    send('acme/lyon/pump-1/speed', '1481');
    await harness.batches.when(([first]) => first?.value === 1481);
    expect(harness.batches.items.flat().map(({ value }) => value)).toEqual([1480, 1481]);
    expect(await metricValue(deps, leftOut('name-taken'))).toBe(1);
    expect(reason()).toBe(
      'pattern any: another topic has the tag pump-1.speed already; acme/paris/pump-1/speed is left out',
    );
  });

  test('does not match a topic that a tag names', async () => {
    const tags = { speed: { topic: 'acme/lyon/pump-1/speed' } };
    const { harness, send } = await sourceWith({ tags, patterns: { any } });
    send('acme/lyon/pump-1/speed', '1480');
    await harness.batches.count(1);
    expect(harness.batches.items.flat().map(({ tag }) => tag)).toEqual(['speed']);
  });

  test('bytes that are not UTF-8 create no tag, and control characters are not displayed', async () => {
    const { harness, deps, send, reason } = await sourceWith({ patterns: { any } });
    send(Buffer.concat([Buffer.from('acme/lyon/pump-'), Buffer.of(0xff, 0xfe), Buffer.from('/speed')]), '1');
    send(Buffer.concat([Buffer.from('acme/lyon/pump-'), Buffer.of(0xfe, 0xff), Buffer.from('/speed')]), '1');
    send('acme/lyon/pump-1/speed', 'x');
    send('acme/lyon//speed', '1');
    send('acme/lyon/\u001b[2J/speed', 'x');
    await harness.batches.count(2);
    expect(harness.names).toEqual(['pump-1.speed', '\u001b[2J.speed']);
    expect(await metricValue(deps, leftOut('name-unfit'))).toBe(2);
    expect(reason()).not.toContain('\u001b');
  });

  test('the loss of the broker makes the created tags bad', async () => {
    const { broker, harness, send } = await sourceWith({ patterns: { any } });
    send('acme/lyon/pump-1/speed', '1480');
    await harness.batches.count(1);
    await broker[Symbol.asyncDispose]();
    const lost = await harness.batches.when(([first]) => first?.reason === 'link-down');
    expect(lost.map(({ tag, quality }) => `${tag} ${quality}`)).toEqual(['pump-1.speed bad']);
  });
});

describe('topics and templates', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '$', '(', '\\', ' ', 'é'), minLength: 1 });

  test('a template recognises every name that it creates', () => {
    fc.assert(
      fc.property(word, word, word, (asset, name, text) => {
        const template = parseTagTemplate(`${text}{asset}.{name}`) ?? [];
        const made = fillTagTemplate(template, new Map(Object.entries({ asset, name })));
        expect(matchesTemplate(template, made)).toBe(true);
      }),
    );
  });

  test.each([
    ['{asset}.vibration', 'pump-7.vibration', true],
    ['{asset}.vibration', '.vibration', false],
    ['{asset}.vibration', 'pump-7xvibration', false],
    ['{a}-{a}', 'x-x', true],
    ['{a}-{a}', 'x-y', false],
    ['fixed', 'fixed', true],
  ])('%s can create %s: %s', (text, name, can) => {
    expect(matchesTemplate(parseTagTemplate(text) ?? [], name)).toBe(can);
  });

  test.each(['{', '}', '{}', '{a', 'a}', '{a b}', '{1a}'])('%j is not a template', (text) => {
    expect(parseTagTemplate(text)).toBeUndefined();
  });

  test('texts filled into the places of a topic are found there', () => {
    const level = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', ' ', 'é'), minLength: 1 });
    fc.assert(
      fc.property(level, level, level, (site, asset, name) => {
        const pattern = parseTopicPattern(`acme/+/{asset}/x/{name}`) ?? [];
        expect(topicFilterOf(pattern)).toBe('acme/+/+/x/+');
        const values = matchTopicPattern(pattern, ['acme', site, asset, 'x', name]);
        expect(values).toEqual(new Map(Object.entries({ asset, name })));
        expect(matchTopicPattern(pattern, ['acme', site, asset, 'y', name])).toBeUndefined();
        expect(matchTopicPattern(pattern, ['acme', site, asset, 'x'])).toBeUndefined();
      }),
    );
  });
});
