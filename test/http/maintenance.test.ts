import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackBackup } from '../../src/offline/backup-file.ts';
import { type Role, roles } from '../../src/web/access/roles.ts';
import { tokenDigest } from '../../src/web/access/users-file.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';

const PASSPHRASE = 'correct horse battery';
const stack = new AsyncDisposableStack();
let folder: AgentFolder;
let agent: AgentProcess;
let lake: UpstreamHttp;

beforeAll(async () => {
  const plant = stack.use(await CrashPlant.start());
  lake = stack.use(await new UpstreamHttp().listen());
  folder = stack.use(new AgentFolder());
  const tokens = Object.fromEntries(roles.map((role) => [role, { role, sha256: tokenDigest(role) }]));
  writeFileSync(join(folder.path, 'users.yaml'), stringify({ users: {}, tokens }), { mode: 0o600 });
  folder.configure({
    ...plant.sections('200ms'),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '200ms', maxAge: '10s' } } },
    notify: { shift: { type: 'webhook', url: 'http://127.0.0.1:9/', escalateAfter: '1h' } },
    uplinks: { lake: { type: 'http', url: lake.url, records: ['verdict'] } },
    http: { listen: '127.0.0.1:0', users: 'users.yaml' },
  });
  agent = stack.use(await AgentProcess.start(folder.configFile));
});
afterAll(() => stack.disposeAsync());

const get = (path: string, role: Role) => fetch(agent.httpUrl + path, { headers: { authorization: `Bearer ${role}` } });
const post = (path: string, role: Role, body: object) =>
  fetch(agent.httpUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${role}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const audited = () =>
  readFileSync(join(folder.path, 'audit.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { action: string; actor: string; subject: string; detail: object });

test('an engineer reads the log, the newest line first, from a level on', async () => {
  expect((await get('/api/v1/log', 'operator')).status).toBe(403);
  type Line = { readonly level: string; readonly message: string; readonly timestamp_ms: number };
  const read = async (query: string) =>
    ((await (await get(`/api/v1/log${query}`, 'engineer')).json()) as { lines: Line[] }).lines;
  const lines = await read('');
  expect(lines.find(({ message }) => message === 'Started.')).toMatchObject({
    level: 'info',
    fields: { agent: 'edge' },
  });
  const times = lines.map(({ timestamp_ms }) => timestamp_ms);
  expect(times).toEqual(times.toSorted((a, b) => b - a));
  expect(await read('?level=error')).toEqual([]);
  expect(await read('?limit=1')).toHaveLength(1);
});

test('uplinks and channels of notifications are listed apart', async () => {
  const outbox = (await (await get('/api/v1/outbox', 'engineer')).json()) as Record<string, readonly object[]>;
  expect(outbox['uplinks']).toEqual([expect.objectContaining({ uplink: 'lake' })]);
  expect(outbox['notifications']).toEqual([expect.objectContaining({ channel: 'shift', unread: 0 })]);
});

test('only an engineer browses nodes, and a Modbus source has none', async () => {
  expect((await post('/api/v1/sources/plc/nodes', 'operator', {})).status).toBe(403);
  expect((await post('/api/v1/sources/plc/nodes', 'engineer', {})).status).toBe(404);
});

test('an engineer makes an uplink send delivered records again, with the same ids', async () => {
  await expect.poll(() => lake.stored.length).toBeGreaterThan(3);
  const first = lake.stored[0]?.id ?? '';
  expect((await post('/api/v1/uplinks/lake/rewind', 'operator', { from_sequence: 0 })).status).toBe(403);
  expect((await post('/api/v1/uplinks/other/rewind', 'engineer', { from_sequence: 0 })).status).toBe(404);
  const refused = await post('/api/v1/uplinks/lake/rewind', 'engineer', { from_ms: Date.now() + 1e9 });
  expect([refused.status, await refused.json()]).toEqual([
    409,
    { error: 'No record of the uplink is stored from there on' },
  ]);
  const channel = await post('/api/v1/uplinks/notify%2Fshift/rewind', 'engineer', { from_sequence: 0 });
  expect([channel.status, await channel.json()]).toEqual([
    409,
    { error: expect.stringContaining("'notify/shift' is a channel of notifications") as string },
  ]);
  const answer = await post('/api/v1/uplinks/lake/rewind', 'engineer', { from_sequence: 0 });
  expect(await answer.json()).toMatchObject({ uplink: 'lake', waiting: expect.any(Number) as number });
  await expect.poll(() => lake.stored.filter(({ id }) => id === first).length).toBe(2);
  // It continues with new records afterwards.
  const count = new Set(lake.stored.map(({ id }) => id)).size;
  await expect.poll(() => new Set(lake.stored.map(({ id }) => id)).size).toBeGreaterThan(count + 2);
  expect(audited().at(-1)).toMatchObject({ action: 'rewind', subject: 'lake', actor: 'engineer@127.0.0.1' });
});

test('an administrator downloads an encrypted backup of the running agent', async () => {
  expect((await post('/api/v1/backup', 'engineer', {})).status).toBe(403);
  expect((await post('/api/v1/backup', 'admin', { passphrase: 'short' })).status).toBe(400);
  const answer = await post('/api/v1/backup', 'admin', { passphrase: PASSPHRASE });
  expect(answer.headers.get('content-disposition')).toMatch(
    /^attachment; filename="andon-edge-\d{8}T\d{6}Z\.tar\.gz\.enc"$/,
  );
  const target = mkdtempSync(join(tmpdir(), 'andon-downloaded-'));
  const file = join(target, 'backup.enc');
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  await unpackBackup(file, target, PASSPHRASE);
  expect(readdirSync(join(target, 'databases')).toSorted()).toEqual(['alarms.db', 'history.db', 'outbox.db']);
  expect(audited().at(-1)).toMatchObject({ action: 'backup', actor: 'admin@127.0.0.1', detail: { encrypted: true } });
  // Nothing of it stays on the disk of the records.
  await expect.poll(() => readdirSync(folder.path).filter((name) => name.startsWith('.andon'))).toEqual([]);
});

test('everyone who may look sees the versions', async () => {
  expect(await (await get('/api/v1/versions', 'viewer')).json()).toMatchObject({ node: process.versions.node });
});
