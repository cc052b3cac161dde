import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { influxUplinkSchema } from '../../src/uplinks/influx/influx-config.ts';
import { createInfluxUplink } from '../../src/uplinks/influx/influx-uplink.ts';
import type { RecordDraft } from '../../src/domain/record/record.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { describeWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';
import { TimeSeriesServer } from '../support/time-series-server.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

const TIME_MS = Date.UTC(2026, 10, 30, 6);
const quick = { retry: { first: '10ms', max: '20ms' }, batch: { linger: '0ms' }, stopTimeout: '0ms' } as const;

function uplinkTo(url: string, config: Partial<z.input<typeof influxUplinkSchema>> = {}) {
  const store = new MemoryRecordStore();
  const deps = testDeps();
  const parsed = influxUplinkSchema.parse({ type: 'influx', url, ...quick, ...config });
  const uplink = createInfluxUplink({ id: 'plant', agentId: 'edge-01', config: parsed, records: store, deps });
  const health = () => deps.health.components().find(({ name }) => name === 'uplink/plant');
  const delivered = async () => {
    await expect.poll(() => store.waiting('plant'), { timeout: 60_000 }).toBe(0);
  };
  return { store, uplink, health, delivered };
}

function sample(offsetMs: number, values: object): RecordDraft {
  return { kind: 'sample', timestampMs: TIME_MS + offsetMs, body: { values }, alarm: undefined };
}

function verdict(offsetMs: number, body: object): RecordDraft {
  const timestampMs = TIME_MS + offsetMs;
  return { kind: 'verdict', timestampMs, watch: 'filler-1', body: { watch: 'filler-1', ...body }, alarm: undefined };
}

describeWith(['influxd'], 'InfluxDB', () => {
  test('has every value as it was, once, also after a repeat, with a password and gzip', async () => {
    await using influx = await TimeSeriesServer.influx({ authenticated: true });
    process.env['ANDON_TEST_INFLUX'] = 'secret';
    const login = { username: 'andon', password: { env: 'ANDON_TEST_INFLUX' }, compression: 'gzip' } as const;
    const drafts = [
      sample(0, { 'pump 1,a=b': [3.25, 'good'], other: [null, 'bad', 15] }),
      sample(1000, { 'pump 1,a=b': [-1e-9, 'uncertain'] }),
      verdict(1000, { score: 2.5, threshold: 3, verdict: 'normal', reason: 'a "b" \\', model: 'm', version: 4 }),
      verdict(2000, { score: null, threshold: null, verdict: 'unknown', reason: 'stale' }),
    ];
    for (const _repeat of [1, 2]) {
      const { store, uplink, delivered } = uplinkTo(`${influx.url}/write?db=plant`, {
        ...login,
        labels: { site: 'lyon' },
      });
      await using _uplink = uplink;
      await store.append(drafts);
      uplink.start();
      await delivered();
      expect(store.deadLetters).toEqual([]);
    }
    const ask = (q: string) => influx.query(q, 'andon:secret');
    const timeNs = TIME_MS * 1e6;
    expect(await ask('SELECT value, quality, "tag", site FROM sample')).toEqual([
      { time: timeNs, value: 3.25, quality: 'good', tag: 'pump 1,a=b', site: 'lyon' },
      { time: timeNs + 15e6, value: null, quality: 'bad', tag: 'other', site: 'lyon' },
      { time: timeNs + 1e9, value: -1e-9, quality: 'uncertain', tag: 'pump 1,a=b', site: 'lyon' },
    ]);
    expect(await ask('SELECT score, verdict, reason, version, abnormal FROM verdict')).toEqual([
      { time: timeNs + 1e9, score: 2.5, verdict: 'normal', reason: 'a "b" \\', version: 4, abnormal: false },
      { time: timeNs + 2e9, score: null, verdict: 'unknown', reason: 'stale', version: null, abnormal: null },
    ]);
  });

  test('refuses one point of a batch for its type: its record alone becomes a dead letter', async () => {
    await using influx = await TimeSeriesServer.influx();
    const body = `sample,agent=edge-01,tag=bad value="text" ${TIME_MS}000000`;
    await fetch(`${influx.url}/write?db=plant`, { method: 'POST', body });
    const { store, uplink, delivered, health } = uplinkTo(`${influx.url}/write?db=plant`);
    await using _uplink = uplink;
    await store.append([
      ...[1, 2, 3].map((second) => verdict(second * 1000, { score: second, verdict: 'normal' })),
      sample(0, { x: [1, 'good'] }),
      ...[4, 5, 6].map((second) => verdict(second * 1000, { score: second, verdict: 'normal' })),
    ]);
    uplink.start();
    await delivered();
    expect(store.deadLetters.map(({ record, reason }) => [record.sequence, reason])).toEqual([
      [4, expect.stringContaining('field type conflict')],
    ]);
    expect(health()?.reason).toContain('1 record was refused');
    const scores = await influx.query('SELECT score FROM verdict');
    expect(scores.map(({ score }) => score)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('without the database keeps the records until it exists', async () => {
    await using influx = await TimeSeriesServer.influx();
    const { store, uplink, delivered, health } = uplinkTo(`${influx.url}/write?db=later`);
    await using _uplink = uplink;
    await store.append([sample(0, { x: [1, 'good'] })]);
    uplink.start();
    await expect.poll(() => health()?.reason, { timeout: 60_000 }).toContain('database not found');
    await influx.query('CREATE DATABASE later');
    await delivered();
    expect(store.deadLetters).toEqual([]);
  });
});

describeWith(['victoria-metrics'], 'VictoriaMetrics', () => {
  test('has the numbers, and no 0 for a text', async () => {
    await using victoria = await TimeSeriesServer.victoria();
    const { store, uplink, delivered } = uplinkTo(`${victoria.url}/write`, { texts: false });
    await using _uplink = uplink;
    const nowMs = Date.now();
    await store.append([{ ...sample(0, { x: [4.5, 'good'] }), timestampMs: nowMs }]);
    uplink.start();
    await delivered();
    await fetch(`${victoria.url}/internal/force_flush`);
    const find = async () => {
      const text = await (await fetch(`${victoria.url}/api/v1/export?match[]={tag="x"}`)).text();
      type Series = { readonly metric: Readonly<Record<string, string>>; readonly values: readonly number[] };
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Series)
        .map(({ metric, values }) => `${metric['__name__']} ${values.join(' ')}`)
        .toSorted();
    };
    await expect.poll(find, { timeout: 60_000 }).toEqual(['sample_good 1', 'sample_value 4.5']);
  });
});

describe('a receiver that is busy', () => {
  test.each([429, 503])('with %i gets the batch again, after its Retry-After', async (status) => {
    await using upstream = await new UpstreamHttp().listen();
    upstream.faults.push({ type: 'status', status, headers: { 'retry-after': '0' } });
    const { store, uplink, delivered } = uplinkTo(upstream.url);
    await using _uplink = uplink;
    await store.append([sample(0, { x: [1, 'good'] })]);
    uplink.start();
    await delivered();
    expect([upstream.requests.length, store.deadLetters.length]).toEqual([2, 0]);
  });
});

test.each([
  ['a precision', { url: 'http://host/write?db=x&precision=ms' }, /precision must not be/],
  ['a token and a user', { token: { env: 'A' }, username: 'a', password: { env: 'B' } }, /either a token/],
  ['a user without a password', { username: 'a' }, /require each other/],
  ['a label of andon', { labels: { watch: 'x' } }, /set by andon/],
])('a configuration with %s is refused', (_name, config, message) => {
  const result = influxUplinkSchema.safeParse({ type: 'influx', url: 'http://host/write', ...config });
  expect(JSON.stringify(result.error?.issues)).toMatch(message);
});
