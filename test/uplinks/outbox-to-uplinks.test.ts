import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type RecordDraft, recordKinds } from '../../src/domain/record/record.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { Outbox } from '../../src/outbox/outbox.ts';
import { httpUplinkSchema } from '../../src/uplinks/http/http-config.ts';
import { createHttpUplink } from '../../src/uplinks/http/http-uplink.ts';
import { mqttUplinkSchema } from '../../src/uplinks/mqtt/mqtt-uplink-config.ts';
import { createMqttUplink } from '../../src/uplinks/mqtt/mqtt-uplink.ts';
import { testDeps } from '../support/test-deps.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

/*
 * Invariant: with the outbox on disk, a receiver that loses, repeats and fails, a broker that loses connections and a
 * receiver that does not exist, each of the first two gets every record, and the cursor of the third stays at the start.
 */
const BACKLOG = 4000;
const LIVE = 100;
const retry = { first: '10ms', max: '50ms' } as const;

test.each(['oldest-first', 'live-first'] as const)(
  'every record in the outbox reaches every reachable receiver, %s',
  async (order) => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'andon-uplinks-'));
    stack.defer(() => rmSync(folder, { recursive: true }));
    const deps = testDeps();
    const outbox = stack.use(
      new Outbox({
        agentId: 'edge-01',
        entry: new URL('../../src/hosts/storage-worker.ts', import.meta.url),
        config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db') }),
        uplinks: ['lake', 'cloud', 'gone'].map((id) => ({ id, kinds: recordKinds })),
        deps,
      }),
    );
    await outbox.start();
    const lake = stack.use(await new UpstreamHttp().listen());
    const cloud = stack.use(await new UpstreamBroker().listen());
    lake.faults.push({ type: 'store-then-reset' }, { type: 'status', status: 500 }, { type: 'reset' });
    cloud.faults.push(undefined, 'lose', undefined, 'store-then-lose');
    const ids = (await outbox.append(verdicts(BACKLOG))).map(String);

    const common = { agentId: 'edge-01', records: outbox.readers, deps };
    const http = { type: 'http', order, retry, stopTimeout: '0ms' } as const;
    const mqtt = { type: 'mqtt', url: cloud.url, order, retry, reconnectMin: '10ms', reconnectMax: '20ms' } as const;
    const uplinks = [
      createHttpUplink({ ...common, id: 'lake', config: httpUplinkSchema.parse({ ...http, url: lake.url }) }),
      createMqttUplink({ ...common, id: 'cloud', config: mqttUplinkSchema.parse(mqtt) }),
      createHttpUplink({
        ...common,
        id: 'gone',
        config: httpUplinkSchema.parse({ ...http, url: 'http://127.0.0.1:1/' }),
      }),
    ];
    for (const uplink of uplinks) stack.use(uplink).start();
    for (let record = 0; record < LIVE; record += 10) ids.push(...(await outbox.append(verdicts(10))).map(String));

    const waiting = async () => {
      const { uplinks: places } = await outbox.stats();
      return Object.fromEntries(places.map((place) => [place.uplink, place.waiting]));
    };
    await vi.waitFor(async () => expect(await waiting()).toEqual({ lake: 0, cloud: 0, gone: BACKLOG + LIVE }), {
      timeout: 60_000,
      interval: 20,
    });
    const published = cloud.on('andon/v1/edge-01/records').flatMap((batch) => batch as { readonly id: string }[]);
    const arrived = { lake: lake.ids, cloud: [...new Set(published.map(({ id }) => id))] };
    const inOrder = (some: readonly string[]) => (order === 'oldest-first' ? some : some.toSorted());
    expect(inOrder(arrived.lake)).toEqual(inOrder(ids));
    expect(inOrder(arrived.cloud)).toEqual(inOrder(ids));
  },
);

test('summaries of a thinned uplink cover every record in the outbox once, with repeats and a refusal', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'andon-uplinks-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const deps = testDeps();
  const outbox = stack.use(
    new Outbox({
      agentId: 'edge-01',
      entry: new URL('../../src/hosts/storage-worker.ts', import.meta.url),
      config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db') }),
      uplinks: [{ id: 'lake', kinds: recordKinds }],
      deps,
    }),
  );
  await outbox.start();
  const lake = stack.use(await new UpstreamHttp().listen());
  lake.faults.push({ type: 'status', status: 413 }, { type: 'store-then-reset' }, { type: 'status', status: 500 });
  const ids = await outbox.append(minutes(30));
  const config = { type: 'http', url: lake.url, retry, thin: {}, batch: { recordsMax: 10 } };
  const parsed = httpUplinkSchema.parse(config);
  const uplink = createHttpUplink({ agentId: 'edge-01', records: outbox.readers, deps, id: 'lake', config: parsed });
  stack.use(uplink).start();
  const left = async () => (await outbox.stats()).uplinks[0]?.waiting;
  // The records of the last interval wait for a later one.
  await vi.waitFor(async () => expect(await left()).toBe(20), { timeout: 60_000, interval: 20 });
  const { deadLetters } = await outbox.stats();
  const ranges = lake.ids.filter((id) => id.includes('-', id.lastIndexOf('/')));
  const covered = ranges.reduce((sum, id) => {
    const [from = 0, to = 0] = id
      .slice(id.lastIndexOf('/') + 1)
      .split('-')
      .map(Number);
    // The records of two watches alternate.
    return sum + (to - from) / 2 + 1;
  }, 0);
  expect(new Set(ranges).size).toBe(ranges.length);
  expect(deadLetters).toBeGreaterThan(0);
  expect(covered + deadLetters).toBe(ids.length - 20);
});

/** Verdicts of two watches, each every 6 s. */
function minutes(count: number): readonly RecordDraft[] {
  return Array.from({ length: count * 20 }, (_, number) => {
    const watch = `pump-${number % 2}`;
    const body = { watch, verdict: 'normal', score: number };
    const timestampMs = Date.UTC(2026, 10, 30) + Math.floor(number / 2) * 6000;
    return { kind: 'verdict', timestampMs, watch, body, alarm: undefined };
  });
}

function verdicts(count: number): readonly RecordDraft[] {
  return Array.from({ length: count }, (_, number) => ({
    kind: 'verdict',
    timestampMs: Date.now(),
    watch: 'pump-1',
    body: { number },
    alarm: undefined,
  }));
}
