import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { NameList } from '../../src/domain/record/column-lists.ts';
import { RecordBatch, RecordBatchWriter } from '../../src/domain/record/record-batch.ts';
import { type RecordDraft, recordKinds } from '../../src/domain/record/record.ts';
import { encodeVerdict, type VerdictNames } from '../../src/domain/record/verdict-columns.ts';
import { httpUplinkSchema } from '../../src/uplinks/http/http-config.ts';
import { createHttpUplink } from '../../src/uplinks/http/http-uplink.ts';
import { mqttUplinkSchema } from '../../src/uplinks/mqtt/mqtt-uplink-config.ts';
import { createMqttUplink } from '../../src/uplinks/mqtt/mqtt-uplink.ts';
import { openOutbox, testFolder } from '../outbox/outbox-fixture.ts';
import { testDeps } from '../support/test-deps.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

type Json = { readonly id: string; readonly [field: string]: unknown };
type Message = { readonly records: readonly Json[]; readonly columns?: readonly (readonly string[] | null)[] };

/** A verdict of a watch with `tags` tags; every third value is missing and not good. */
function verdict(number: number, watch: string, tags: number): RecordDraft {
  const list = Array.from({ length: tags }, (_, tag) => `${watch}.é${tag}`);
  const names: VerdictNames = {
    watch,
    threshold: 1,
    model: 'pump-anomaly',
    version: 1,
    provider: 'cpu',
    fallbacks: [],
    tags: list,
  };
  const isMissing = (tag: number): boolean => (number + tag) % 3 === 0;
  const bytes = encodeVerdict(list, {
    score: number / 10,
    verdict: 'normal',
    reason: undefined,
    contributions: [{ tag: list[0] ?? '', share: 0.5 }],
    values: Float32Array.from(list, (_, tag) => (isMissing(tag) ? Number.NaN : number + tag / 7)),
    qualities: list.map((_, tag) => (isMissing(tag) ? 'bad' : 'good')),
  });
  const columns = { names: JSON.stringify(names), bytes };
  return { kind: 'verdict', timestampMs: 1_800_000_000_000 + number, watch, body: {}, columns, alarm: undefined };
}

/** Returns the records of a message with the names of their tags, as a receiver finds them. */
function withNames({ records, columns = [] }: Message): readonly Json[] {
  return records.map((record) => {
    const { columns: position, values, quality, ...rest } = record;
    if (typeof position !== 'number') return record;
    const tags = columns[position];
    if (tags === null || tags === undefined) throw new Error(`${record.id} refers to a list that the message lacks`);
    const own = values as readonly (number | null)[];
    const notGood = quality as Readonly<Record<string, string>>;
    return {
      ...rest,
      tags: Object.fromEntries(tags.map((tag, index) => [tag, own[index]])),
      quality: Object.fromEntries(tags.map((tag) => [tag, notGood[tag] ?? 'good'])),
    };
  });
}

function expectOwnListsOnly({ records, columns = [] }: Message): void {
  const used = new Set(records.map(({ columns: position }) => position));
  for (const [position, list] of columns.entries()) expect(list !== null).toBe(used.has(position));
}

test('columns have the same content as names, for HTTP and MQTT, in batches of any size', async () => {
  await using stack = new AsyncDisposableStack();
  const deps = testDeps();
  const ids = ['names', 'http', 'mqtt'];
  const outbox = await openOutbox({
    folder: testFolder(),
    uplinks: ids.map((id) => ({ id, kinds: recordKinds })),
    deps,
  });
  const drafts = Array.from({ length: 90 }, (_, number) => verdict(number, `w${number % 3}`, 1 + (number % 3) * 20));
  const plain: RecordDraft = {
    kind: 'sample',
    timestampMs: 1,
    watch: '',
    body: { values: { a: [1, 'good'] } },
    alarm: undefined,
  };
  await outbox.append([...drafts, plain]);
  const [names, lake] = [stack.use(await new UpstreamHttp().listen()), stack.use(await new UpstreamHttp().listen())];
  const cloud = stack.use(await new UpstreamBroker().listen());
  lake.faults.push({ type: 'status', status: 413 }, undefined as never, { type: 'reset' });
  const common = { agentId: 'edge-01', records: outbox.readers, deps };
  const retry = { first: '10ms', max: '20ms' } as const;
  const http = { type: 'http', retry, stopTimeout: '0ms' } as const;
  const mqtt = { type: 'mqtt', url: cloud.url, retry, stopTimeout: '0ms', batch: { bytesMax: '6kB' } } as const;
  const uplinks = [
    createHttpUplink({ ...common, id: 'names', config: httpUplinkSchema.parse({ ...http, url: names.url }) }),
    createHttpUplink({
      ...common,
      id: 'http',
      config: httpUplinkSchema.parse({ ...http, url: lake.url, values: 'columns' }),
    }),
    createMqttUplink({ ...common, id: 'mqtt', config: mqttUplinkSchema.parse({ ...mqtt, values: 'columns' }) }),
  ];
  for (const uplink of uplinks) stack.use(uplink).start();
  await vi.waitFor(
    async () => expect((await outbox.stats()).uplinks.map(({ waiting }) => waiting)).toEqual([0, 0, 0]),
    { timeout: 60_000, interval: 20 },
  );
  const expected = names.stored as readonly Json[];
  expect(expected).toHaveLength(91);
  const messages = cloud.on('andon/v1/edge-01/records') as readonly Message[];
  for (const message of [...messages, ...lake.requests]) expectOwnListsOnly(message);
  expect(messages.flatMap(withNames)).toEqual(expected);
  const received = new Map(lake.requests.flatMap(withNames).map((record) => [record.id, record]));
  expect([...received.values()]).toEqual(expected);
  expect(lake.requests.length, 'a batch was divided').toBeGreaterThan(2);
  for (const { payload } of cloud.published.items) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(6024);
  expect(cloud.published.items[0]?.payload).toMatch(/^\{"columns":\[\["w0\.é0"\],/);
});

/*
 * Invariant: for any sizes and lists, batches and their parts keep to the limit, and each has exactly the lists that its
 * records use.
 */
test('every part of a batch has the lists of its records, within the limit', () => {
  const record = fc.record({ list: fc.nat(4), padding: fc.nat(200) });
  const lists = Array.from({ length: 4 }, (_, key): NameList => ({
    key,
    json: JSON.stringify([`é${key}`.repeat(20 * key)]),
  }));
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 3000 }),
      (records, bytesMax) => {
        const write = (limit: number): readonly RecordBatch[] => {
          const writer = new RecordBatchWriter({ recordsMax: 20, bytesMax: limit });
          for (const [sequence, { list, padding }] of records.entries())
            writer.add(
              { id: `e/1/${sequence}`, sequence },
              (to, columns) => {
                to.text(
                  JSON.stringify({
                    id: `e/1/${sequence}`,
                    columns,
                    key: lists[list]?.key,
                    padding: 'x'.repeat(padding),
                  }),
                );
                return true;
              },
              lists[list],
            );
          return writer.end().map((batch) => new RecordBatch(batch));
        };
        const wholes = write(1e9);
        const limited = [...write(bytesMax), ...wholes.flatMap((batch) => batch.within(bytesMax))];
        for (const { length, bytes } of limited) expect(length === 1 || bytes <= bytesMax).toBe(true);
        for (const batches of [
          write(bytesMax),
          wholes.flatMap((batch) => batch.within(bytesMax)),
          wholes.flatMap((batch) => (batch.length > 1 ? batch.halves() : [batch])),
        ]) {
          const messages = batches.map(({ json, columns }) => ({
            columns: JSON.parse(columns) as Message['columns'] & {},
            records: JSON.parse(new TextDecoder().decode(json)) as readonly Json[],
          }));
          expect(messages.flatMap((message) => message.records.map(({ id }) => id))).toEqual(
            records.map((_, sequence) => `e/1/${sequence}`),
          );
          for (const message of messages) {
            expectOwnListsOnly(message);
            for (const { columns, key } of message.records.filter((each) => each['key'] !== undefined))
              expect(JSON.stringify(message.columns[columns as number])).toBe(lists[key as number]?.json);
          }
        }
      },
    ),
  );
});
