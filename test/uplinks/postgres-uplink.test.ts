import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { z } from 'zod';
import type { RecordDraft } from '../../src/domain/record/record.ts';
import { postgresUplinkSchema } from '../../src/uplinks/postgres/postgres-config.ts';
import { createPostgresUplink } from '../../src/uplinks/postgres/postgres-uplink.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { postgresProgram, PostgresServer } from '../support/postgres-server.ts';
import { describeWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';

const TIME_MS = Date.UTC(2026, 10, 30, 6);
const quick = {
  username: 'postgres',
  connectTimeout: '5s',
  reconnectMin: '10ms',
  reconnectMax: '50ms',
  retry: { first: '10ms', max: '20ms' },
  batch: { linger: '0ms', recordsMax: 10 },
  stopTimeout: '0ms',
} as const;

type Config = Partial<z.input<typeof postgresUplinkSchema>>;

function uplinkTo(url: string, config: Config = {}, store = new MemoryRecordStore()) {
  const deps = { ...testDeps(), random: Math.random };
  const parsed = postgresUplinkSchema.parse({ type: 'postgres', url, ...quick, ...config });
  const uplink = createPostgresUplink({ id: 'plant', agentId: 'edge-01', config: parsed, records: store, deps });
  uplink.start();
  const health = () => deps.health.components().find(({ name }) => name === 'uplink/plant');
  const delivered = () => eventually(() => expect(store.waiting('plant')).toBe(0));
  const trouble = (code: string, part = '') =>
    eventually(() => expect(health()).toMatchObject({ code, reason: expect.stringContaining(part) }));
  return { store, uplink, delivered, trouble };
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 10 });
}

function draft(kind: RecordDraft['kind'], offsetMs: number, body: object): RecordDraft {
  return { kind, timestampMs: TIME_MS + offsetMs, watch: '', body: { ...body }, alarm: undefined };
}

function verdict(second: number, body: object = {}): RecordDraft {
  const own = {
    watch: 'filler-1',
    score: second,
    threshold: 3,
    verdict: 'normal',
    reason: '',
    model: 'm',
    version: 4,
    contributions: [],
    provider: 'cpu',
    fallbacks: [],
    tags: { 'pump 1': 1.5, flow: null },
    quality: { 'pump 1': 'good', flow: 'bad' },
  };
  return draft('verdict', second * 1000, { ...own, ...body });
}

describeWith([postgresProgram('postgres')], 'uplink to PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  beforeEach(async () => {
    await server.query('DROP SCHEMA IF EXISTS andon CASCADE');
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('has every record once with its values, also after a repeat', async () => {
    const drafts = [
      draft('sample', 0, { values: { 'pump 1': [3.25, 'good'], other: [null, 'bad', 15] } }),
      verdict(1, { score: 2.5, contributions: [{ tag: 'flow', share: 1 }] }),
      verdict(2, { score: null, verdict: 'unknown', reason: 'a \u0000 "b" \\u0000 \uD800' }),
      draft('alarm', 3, {
        alarm: 'filler-1',
        watch: 'filler-1',
        state: 'unacknowledged',
        change: 'raised',
        priority: 'high',
        message: 'x',
      }),
      draft('loss', 4, { records: 'sample', reason: 'outbox-full', epoch: 'e1', from: 3, to: 9, count: 5 }),
      draft('start', 5, { reason: 'crash' }),
    ];
    for (const _repeat of [1, 2]) {
      const { store, uplink, delivered } = uplinkTo(server.url);
      await using _uplink = uplink;
      await store.append(drafts);
      await delivered();
      expect(store.deadLetters).toEqual([]);
    }
    const at = (offsetMs: number) => new Date(TIME_MS + offsetMs);
    expect(await server.query('SELECT * FROM andon.samples ORDER BY time')).toEqual([
      { time: at(0), box: 'edge-01', tag: 'pump 1', value: 3.25, quality: 'good', id: 'edge-01/e1/1' },
      { time: at(15), box: 'edge-01', tag: 'other', value: null, quality: 'bad', id: 'edge-01/e1/1' },
    ]);
    const settings = { box: 'edge-01', watch: 'filler-1', threshold: 3, model: 'm', version: 4, provider: 'cpu' };
    const values = { tags: ['pump 1', 'flow'], tag_values: [1.5, null], quality: { flow: 'bad' } };
    expect(await server.query('SELECT * FROM andon.verdicts ORDER BY time')).toEqual([
      {
        ...settings,
        ...values,
        time: at(1000),
        verdict: 'normal',
        score: 2.5,
        reason: null,
        contributions: [{ tag: 'flow', share: 1 }],
        id: 'edge-01/e1/2',
      },
      {
        ...settings,
        ...values,
        time: at(2000),
        verdict: 'unknown',
        score: null,
        reason: 'a \uFFFD "b" \\u0000 \uFFFD',
        contributions: null,
        id: 'edge-01/e1/3',
      },
    ]);
    expect(await server.query('SELECT alarm, state, message, id FROM andon.alarms')).toEqual([
      { alarm: 'filler-1', state: 'unacknowledged', message: 'x', id: 'edge-01/e1/4' },
    ]);
    expect(await server.query('SELECT records, count, first_sequence, last_sequence, id FROM andon.losses')).toEqual([
      { records: 'sample', count: '5', first_sequence: '3', last_sequence: '9', id: 'edge-01/e1/5' },
    ]);
    expect(await server.query('SELECT kind, body, id FROM andon.events')).toEqual([
      { kind: 'start', body: { reason: 'crash' }, id: 'edge-01/e1/6' },
    ]);
  });

  test('agents that start at the same time create the tables once', async () => {
    const uplinks = [1, 2, 3, 4].map(() => uplinkTo(server.url));
    for (const { store, delivered } of uplinks) {
      await store.append([verdict(1)]);
      await delivered();
    }
    await Promise.all(uplinks.map(({ uplink }) => uplink[Symbol.asyncDispose]()));
    expect(await server.query('SELECT count(*) FROM andon.schema_versions')).toEqual([{ count: '1' }]);
    expect(await server.query('SELECT count(*) FROM andon.verdicts')).toEqual([{ count: '1' }]);
  });

  test('a server that is killed and started again gets every record once', async () => {
    const { store, uplink, delivered, trouble } = uplinkTo(server.url);
    await using _uplink = uplink;
    const some = (from: number, count: number) => Array.from({ length: count }, (_, at) => verdict(from + at));
    await store.append(some(0, 200));
    await eventually(() => expect(store.waiting('plant')).toBeLessThan(200));
    await server.kill();
    await store.append(some(200, 50));
    await trouble('uplink-unreachable');
    await server.begin();
    await delivered();
    expect(await server.query('SELECT count(*), count(DISTINCT id) AS ids FROM andon.verdicts')).toEqual([
      { count: '250', ids: '250' },
    ]);
    expect(store.deadLetters).toEqual([]);
  });

  test('a database that was restored from an older copy gets the lost records again', async () => {
    const store = new MemoryRecordStore();
    await store.append(Array.from({ length: 30 }, (_, at) => verdict(at)));
    const first = uplinkTo(server.url, {}, store);
    await first.delivered();
    await first.uplink[Symbol.asyncDispose]();
    await server.query('DELETE FROM andon.verdict_data WHERE sequence > 12');
    await server.query('UPDATE andon.epochs SET last_sequence = 12');
    const second = uplinkTo(server.url, {}, store);
    await using _uplink = second.uplink;
    await eventually(async () =>
      expect(await server.query('SELECT count(*) FROM andon.verdicts')).toEqual([{ count: '30' }]),
    );
  });

  test('a record that the database refuses is a dead letter alone, and is not sent again', async () => {
    const store = new MemoryRecordStore();
    const refused = verdict(3, { score: 'text' });
    await store.append([verdict(1), verdict(2), refused, verdict(4), { ...refused }]);
    for (const _connect of [1, 2]) {
      const { uplink, delivered } = uplinkTo(server.url, {}, store);
      await delivered();
      await uplink[Symbol.asyncDispose]();
    }
    expect(store.deadLetters.map(({ record }) => record.sequence)).toEqual([3, 5]);
    expect(store.deadLetters[0]?.reason).toContain('SQLSTATE 22P02');
    expect(await server.query('SELECT count(*) FROM andon.verdicts')).toEqual([{ count: '3' }]);
  });

  test('faults of server and permissions are named by code, the records wait, and are stored afterwards', async () => {
    await server.stop();
    server.configure(['fsync = off', 'synchronous_commit = off']);
    await server.begin();
    const store = new MemoryRecordStore();
    await store.append([verdict(1)]);
    const { uplink, trouble, delivered } = uplinkTo(server.url, { username: 'andon' }, store);
    await using _uplink = uplink;
    await trouble('uplink-not-admitted', 'role "andon" does not exist');
    await server.query('CREATE ROLE andon LOGIN');
    await trouble('uplink-not-durable', 'fsync: off');
    await server.stop();
    server.configure(['fsync = on']);
    await trouble('uplink-unreachable');
    await server.begin();
    await trouble('uplink-database-denied', 'permission denied for database');
    await server.query('GRANT CREATE ON DATABASE postgres TO andon');
    await delivered();
    await server.query('ALTER TABLE andon.verdict_data DROP COLUMN reason CASCADE');
    await server.query('ALTER TABLE andon.alarm_data RENAME TO other');
    await store.append([verdict(2)]);
    await trouble('uplink-database-unfit', 'alarm_data');
    await server.query('ALTER TABLE andon.other RENAME TO alarm_data');
    await delivered();
    await server.query(
      `CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'No space left' USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql`,
    );
    await server.query(
      'CREATE TRIGGER full_disk BEFORE INSERT ON andon.verdict_data FOR EACH ROW EXECUTE FUNCTION full_disk()',
    );
    await store.append([verdict(3)]);
    await trouble('uplink-database-full', 'No space left');
    await server.query('DROP TRIGGER full_disk ON andon.verdict_data');
    await delivered();
    expect(store.deadLetters).toEqual([]);
    expect(await server.query('SELECT count(*) FROM andon.verdict_data')).toEqual([{ count: '3' }]);
  });

  test('tables of a later version that this agent cannot write are left alone', async () => {
    await server.query('CREATE SCHEMA andon');
    await server.query(
      'CREATE TABLE andon.schema_versions (version integer, writable_from integer, applied_at timestamptz DEFAULT now())',
    );
    await server.query('INSERT INTO andon.schema_versions VALUES (99, 98)');
    const { store, uplink, trouble } = uplinkTo(server.url);
    await using _uplink = uplink;
    await store.append([verdict(1)]);
    await trouble('uplink-database-unfit', 'Update andon');
    expect(store.waiting('plant')).toBe(1);
  });

  test('a day gets its partition although a box with a wrong clock was there first, and old days are removed', async () => {
    const { store, uplink, delivered } = uplinkTo(server.url, { retention: '40d' });
    await using _uplink = uplink;
    const nowMs = Date.now();
    const dayMs = 86_400_000;
    const at = (timestampMs: number): RecordDraft => ({ ...verdict(1), timestampMs });
    await store.append([at(nowMs), at(nowMs - 30 * dayMs), at(nowMs + 900 * dayMs)]);
    await delivered();
    const days = () =>
      server.query(
        `SELECT count(DISTINCT tableoid) FROM andon.verdict_data WHERE tableoid <> 'andon.verdict_data_other'::regclass`,
      );
    expect(await days()).toEqual([{ count: '2' }]);
    await uplink[Symbol.asyncDispose]();
    // The same rows as a row of the future that has become today.
    await server.query(`UPDATE andon.verdict_data_other SET time = now() - interval '20 days'`).catch(() => undefined);
    const again = uplinkTo(server.url, { retention: '25d' }, store);
    await using _again = again.uplink;
    await store.append([at(nowMs - 20 * dayMs)]);
    await again.delivered();
    await eventually(async () => expect(await days()).toEqual([{ count: '2' }]));
    expect(await server.query('SELECT count(*) FROM andon.verdict_data_other')).toEqual([{ count: '0' }]);
  });

  test('TLS with a client certificate and a password; another authority or password is named', async () => {
    await using certificates = TestCertificates.make();
    await server.stop();
    server.secure(certificates);
    await server.begin();
    await server.query(`CREATE ROLE secure LOGIN PASSWORD 'secret'`);
    await server.query('GRANT CREATE ON DATABASE postgres TO secure');
    process.env['ANDON_TEST_POSTGRES'] = 'secret';
    process.env['ANDON_TEST_POSTGRES_WRONG'] = 'wrong';
    const { ca, client } = certificates;
    const url = `${server.url}?sslmode=verify-full`;
    const login = { username: 'secure', password: { env: 'ANDON_TEST_POSTGRES' }, tls: { ca, ...client } };
    const refused: readonly (readonly [Config, string, string])[] = [
      [{ ...login, tls: { ...client } }, 'uplink-unreachable', 'certificate'],
      [{ ...login, password: { env: 'ANDON_TEST_POSTGRES_WRONG' } }, 'uplink-not-admitted', 'password'],
      [{ ...login, tls: { ca } }, 'uplink-not-admitted', 'client certificate'],
      [{ ...login, tls: { ca: '/nowhere.pem' } }, 'uplink-tls-file', 'nowhere.pem'],
    ];
    const store = new MemoryRecordStore();
    await store.append([verdict(1)]);
    for (const [config, code, part] of refused) {
      const { uplink, trouble } = uplinkTo(url, config, store);
      await trouble(code, part);
      await uplink[Symbol.asyncDispose]();
    }
    const { uplink, delivered } = uplinkTo(url, login, store);
    await using _uplink = uplink;
    await delivered();
    expect(store.deadLetters).toEqual([]);
  });
});

describe('URL of a database', () => {
  const problem = (url: string) => postgresUplinkSchema.safeParse({ type: 'postgres', url }).error?.issues[0]?.message;

  test.each([
    ['mysql://db/plant', 'expected postgres://'],
    ['postgres://db', 'name of the database is missing'],
    ['postgres://andon:secret@db/plant', 'must not be in the url'],
    ['postgres://db/plant?sslmode=prefer', 'sslmode: expected'],
    ['postgres://db/plant?options=x', 'parameter options'],
    ['postgres://db/plant?host=other', 'folder of a Unix socket'],
  ])('%s is refused', (url, part) => {
    expect(problem(url)).toContain(part);
  });

  test('a form without faults is accepted', () => {
    expect(problem('postgres://db:5433/plant?sslmode=require')).toBeUndefined();
  });
});
