import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { FileLock } from '../../src/platform/file-lock.ts';
import { packageArchive, writePackage } from '../support/model-packages.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder } from '../support/start-agent.ts';
import { andon } from './run-andon.ts';
import { latencyRuns } from '../support/latency-runs.ts';

/** A configuration with one watch on one tag, and no model. */
let folder: AgentFolder;

beforeEach(() => {
  folder = new AgentFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  configure('level');
});

function configure(model: string, listen = '127.0.0.1:0'): void {
  const tags = { level: { register: 'holding', address: 0, type: 'uint16', unit: 'bar' } };
  folder.configure({
    sources: { plc: { type: 'modbus', url: 'tcp://127.0.0.1:1', scanInterval: '1s', tags } },
    models: { directory: 'models', privateDownloads: true },
    http: { listen },
    watches: { level: { model, tags: ['level'], window: { step: '1s', maxAge: '5s' }, alarm: {} } },
  });
}

function level(version: number, tags = 1): TestModel {
  const window = Array.from({ length: tags }, () => 0.5);
  return { name: 'level', version, bytes: meanModel(1, tags), steps: 1, tags, golden: [{ window, score: 0.5 }] };
}

const models = (...args: readonly string[]) => andon('models', ...args, '-c', folder.configFile);
const json = async (...args: readonly string[]) => {
  const { code, stdout } = await models(...args, '--json');
  return { code, document: JSON.parse(stdout) as Record<string, unknown> };
};
const packageFolder = (model: TestModel) => writePackage(join(folder.path, `package-${model.version}`), model);

test('versions from a folder, a .tgz and a URL are installed, activated, pinned, rolled back and removed', async () => {
  const tgz = join(folder.path, 'level-2.tgz');
  writeFileSync(tgz, packageArchive(level(2)));
  const server = createServer((_, response) => response.end(packageArchive(level(3)))).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await expect.poll(() => server.listening).toBe(true);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/level.tgz`;

  expect(await models('install', packageFolder(level(1)))).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /level@1 is installed: 1 golden vectors hold on cpu .*of the 1000 ms allowed\.\nIt is not active. To activate it: andon models activate level@1/,
    ) as string,
    stderr: 'verifying level@1\n',
  });
  expect(await json('install', tgz, '--activate')).toMatchObject({
    code: 0,
    document: {
      model: 'level@2',
      alreadyInstalled: false,
      activated: { model: 'level@2', previous: null, latency: { runs: latencyRuns } },
    },
  });
  expect(await json('install', tgz)).toMatchObject({ code: 0, document: { alreadyInstalled: true } });
  expect(await json('install', url, '--activate', '--header', 'authorization: Bearer x')).toMatchObject({ code: 0 });
  expect(await models('pin', 'level@3')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/level@3 is pinned/) as string,
  });
  expect((await models('list')).stdout).toMatch(/level +3 +pinned/);
  expect(await json('rollback', 'level')).toMatchObject({ code: 1, document: { ok: false, code: 'model-pinned' } });
  expect(await json('unpin', 'level')).toMatchObject({ code: 0, document: { version: 3 } });
  expect(await json('rollback', 'level')).toMatchObject({ code: 0, document: { model: 'level@2', previous: 3 } });
  expect(await json('remove', 'level@2')).toMatchObject({ code: 1, document: { code: 'model-version-in-use' } });
  expect(await json('remove', 'level@3')).toMatchObject({ code: 1, document: { code: 'model-version-in-use' } });
  expect(await json('remove', 'level@3', '--force')).toMatchObject({ code: 0 });
  expect(await json('remove', 'level@1')).toMatchObject({ code: 0 });
  expect(await json('list')).toMatchObject({ document: { models: [{ version: 2, active: true, pinned: false }] } });

  const { code, document } = await json('audit');
  expect({ code, document }).toMatchObject({ code: 0, document: { intact: true } });
  const entries = document['entries'] as readonly Record<string, unknown>[];
  expect(
    entries.map(({ action, version, outcome }) => `${String(action)} ${String(version)} ${String(outcome)}`),
  ).toEqual([
    'install 1 ok',
    'install 2 ok',
    'activate 2 ok',
    'install 2 ok',
    'install 3 ok',
    'activate 3 ok',
    'pin 3 ok',
    'rollback 2 refused',
    'unpin 3 ok',
    'rollback 2 ok',
    'remove 2 refused',
    'remove 3 refused',
    'remove 3 ok',
    'remove 1 ok',
  ]);
  expect(entries[0]?.['actor']).toMatch(/^cli:./);
});

test('a changed or truncated audit log is reported with its first broken line', async () => {
  for (const version of [1, 2]) await models('install', packageFolder(level(version)));
  const path = join(folder.path, 'models/audit.jsonl');
  const log = readFileSync(path, 'utf8');
  const head = /"hash":"([0-9a-f]{64})"\}\n$/.exec(log)?.[1] ?? '';
  expect(await json('audit', '--contains', head)).toMatchObject({ code: 0, document: { head } });
  writeFileSync(path, log.slice(0, log.indexOf('\n') + 1));
  expect(await models('audit', '--contains', head)).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/does not contain the hash/) as string,
  });
  writeFileSync(path, log.replace('"version":1', '"version":2'));
  expect(await models('audit')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/line 1 of audit\.jsonl was changed/) as string,
  });
});

test('a version with other columns than the watch is not activated; one that was activated by hand can be rolled back', async () => {
  await models('install', packageFolder(level(1)), '--activate');
  expect(await json('install', packageFolder(level(2, 2)), '--activate')).toMatchObject({
    code: 1,
    document: {
      code: 'model-watch-incompatible',
      error: expect.stringMatching(/watch 'level': 1 tags, but level@2 has 2 columns/) as string,
    },
  });
  // After an edit of the file by hand, the configuration is invalid.
  writeFileSync(join(folder.path, 'models/level/active'), '2\n');
  writeFileSync(join(folder.path, 'models/level/previous'), '1\n');
  expect((await models('show', 'level')).code).toBe(78);
  expect(await json('rollback', 'level')).toMatchObject({ code: 0, document: { model: 'level@1' } });
});

/** Serves `/api/v1/models` as an agent would, and configures its address. */
async function agentThatAnswers(answer: (response: ServerResponse) => void): Promise<void> {
  const server = createServer((_, response) => answer(response)).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  configure('level', `127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('no version is removed while it is unknown what the running agent has loaded', () => {
  beforeEach(async () => {
    for (const version of [1, 2]) await models('install', packageFolder(level(version)), '--activate');
  });

  const remove = async () => ({
    ...(await json('remove', 'level@1', '--force')),
    isThere: existsSync(join(folder.path, 'models/level/1/model.yaml')),
  });
  const refused = (reason: RegExp) => ({
    code: 1,
    document: { code: 'agent-not-reached', error: expect.stringMatching(reason) as string },
    isThere: true,
  });

  test.each([
    ['it refuses the token', (response: ServerResponse) => response.writeHead(401).end(), /it answered 401/],
    ['it is another server', (response: ServerResponse) => response.end('[]'), /not the answer of an andon agent/],
    [
      'its model server does not answer',
      (response: ServerResponse) => response.end(JSON.stringify({ models: [], incomplete: 'no answer within 2 s' })),
      /its model server: no answer within 2 s/,
    ],
    ['it does not answer in time', () => undefined, /no answer within 5s/],
  ])('%s', async (_, answer, reason) => {
    await agentThatAnswers(answer);
    expect(await remove()).toMatchObject(refused(reason));
  });

  test.each([
    ['it does not listen', closedPort, /refused the connection/],
    ['its port is not in the configuration', async () => 0, /http\.listen has port 0/],
  ])('%s', async (_, port, reason) => {
    configure('level', `127.0.0.1:${await port()}`);
    const outbox = FileLock.take(join(folder.path, 'outbox.db.lock'), 0);
    onTestFinished(() => outbox?.[Symbol.dispose]());
    expect(await remove()).toMatchObject(refused(reason));
    outbox?.[Symbol.dispose]();
    expect(await remove()).toMatchObject({ code: 0, isThere: false });
  });
});

test('a version that a watch names is not removed', async () => {
  for (const version of [1, 2, 3]) await models('install', packageFolder(level(version)), '--activate');
  configure('level@1');
  expect(await json('remove', 'level@1', '--force')).toMatchObject({
    code: 1,
    document: { error: expect.stringMatching(/in use: watch 'level' uses it/) as string },
  });
});

test.each([
  [['install', '/nowhere/model.tgz'], 1, /no such file/],
  [['install', '.', '--sha256', 'abc'], 64, /64 hexadecimal digits/],
  [['install', '.', '--header', 'nonsense'], 64, /expected a header/],
  [['install'], 64, /missing required argument/],
  [['activate', 'level'], 1, /has no version. Expected level@VERSION/],
  [['pin', 'a b'], 1, /'a b' is not a model/],
  [['remove', 'level@7'], 1, /no model 'level'/],
])('models %j is refused with the reason', async (args, code, reason) => {
  expect(await models(...args)).toMatchObject({ code, stderr: expect.stringMatching(reason) as string });
});

test('a version that a rollout found bad is listed with the reason, until a user activates it', async () => {
  await models('install', packageFolder(level(1)), '--activate');
  await models('install', packageFolder(level(2)));
  const rejection = { version: 2, reason: 'it crashed once within 1h', time: '2026-01-01T00:00:00.000Z' };
  writeFileSync(join(folder.path, 'models/level/rejected.json'), JSON.stringify([rejection]));
  const listed = async () => (await json('list')).document['models'];
  expect(await listed()).toMatchObject([{ version: 1 }, { version: 2, reason: 'rejected: it crashed once within 1h' }]);
  await models('activate', 'level@2');
  expect(await listed()).toMatchObject([{ version: 1 }, { version: 2, active: true, reason: '' }]);
});
