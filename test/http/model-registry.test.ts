import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { AuditEntry } from '../../src/contracts/model-audit-entry.ts';
import { andon } from '../cli/run-andon.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { packageArchive } from '../support/model-packages.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { loopModel, meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { latencyRuns } from '../support/latency-runs.ts';

/*
 * A running agent that judges by `echo`, and a client with the admin token that changes its models. Tests
 * build on one another: versions are counted through the file.
 */
const ADMIN = 'a secret for the admin';
let plant: CrashPlant;
let folder: AgentFolder;
let agent: AgentProcess;

beforeAll(async () => {
  plant = await CrashPlant.start();
  folder = new AgentFolder();
  const { models, ...sections } = plant.sections('50ms');
  folder.configure({
    ...sections,
    // Without probation, in which the version before stays loaded and cannot be removed.
    models: {
      ...models,
      rollback: { within: '0ms' },
      maxModelSize: '1MB',
      receiveDeadline: '8s',
      privateDownloads: true,
      loadDeadline: '10s',
    },
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '50ms', maxAge: '5s' }, alarm: {} } },
    http: { listen: '127.0.0.1:0', adminToken: { env: 'ADMIN_TOKEN' }, requestTimeout: '1s' },
  });
  agent = await AgentProcess.start(folder.configFile, { ADMIN_TOKEN: ADMIN });
});

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
  await plant[Symbol.asyncDispose]();
});

const echo = (version: number, more: Partial<TestModel> = {}): TestModel => ({
  name: 'echo',
  version,
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  ...more,
});

type Answer = { readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers };

async function call(method: string, path: string, body?: unknown, token = ADMIN): Promise<Answer> {
  const isArchive = body instanceof Uint8Array;
  const answer = await fetch(`${agent.httpUrl}/api/v1/models${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': isArchive ? 'application/gzip' : 'application/json' }),
    },
    ...(body === undefined ? {} : { body: isArchive ? Uint8Array.from(body) : JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, headers: answer.headers };
}

const post = (path: string, body?: unknown) => call('POST', path, body);
const activeVersion = () => Number(readFileSync(join(plant.modelDirectory, 'echo/active'), 'utf8'));
const runningVersion = async () => {
  const { body } = await call('GET', '');
  return (body['models'] as { name: string; version: number; state: string }[]).find(({ name }) => name === 'echo');
};

describe('a request with a wrong token changes and shows nothing', () => {
  test.each([
    ['POST', '/install'],
    ['POST', '/echo/activate'],
    ['POST', '/echo/rollback'],
    ['POST', '/echo/pin'],
    ['POST', '/echo/unpin'],
    ['DELETE', '/echo/versions/1'],
    ['GET', '/audit'],
    ['POST', '/train'],
    ['POST', '/trainings/1/cancel'],
    ['POST', '/echo/infer'],
  ])('%s %s', async (method, path) => {
    const answer = await call(method, path, method === 'POST' ? { version: 1 } : undefined, 'another');
    expect(answer).toMatchObject({ status: 401, body: { error: expect.stringMatching(/token is unknown/) as string } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('if no admin token is configured, every request is refused', async () => {
    using other = new AgentFolder();
    other.configure(plant.sections('100ms'));
    await using closed = await AgentProcess.start(other.configFile);
    const answer = await fetch(`${closed.httpUrl}/api/v1/models/audit`);
    expect(answer.status).toBe(401);
  });
});

describe('a version over HTTP', () => {
  test('is installed from an archive in the body, larger than any other body may be, and does not become active', async () => {
    // Weights that do not compress: the archive is larger than any other body may be.
    const bytes = Buffer.concat([Buffer.from(meanModel(1, 1)), unusedField(200_000)]);
    const archive = packageArchive(echo(2, { bytes }));
    expect(archive.length).toBeGreaterThan(65_536);
    const answer = await post('/install', archive);
    expect(answer).toMatchObject({
      status: 201,
      body: {
        model: 'echo',
        version: 2,
        already_installed: false,
        activated: null,
        proof: { latency: { runs: latencyRuns } },
      },
    });
    expect((await post('/install', archive)).status).toBe(200);
    expect(activeVersion()).toBe(1);
  });

  test('with the default content type of curl, or none, is refused, and the message names the right one', async () => {
    const send = async (type: string, body: string) => {
      const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': type };
      const answer = await fetch(`${agent.httpUrl}/api/v1/models/install`, { method: 'POST', headers, body });
      return `${answer.status} ${await answer.text()}`;
    };
    expect(await send('application/x-www-form-urlencoded', 'x')).toMatch(/^415 .*x-www-form.*as application\/gzip/);
    expect(await send('application/gzip', '')).toMatch(/^422 .*0 bytes were received/);
  });

  test('judges immediately after its activation, and a rollback restores the previous one', async () => {
    const before = await runningVersion();
    expect(before).toMatchObject({ version: 1, state: 'ready' });
    expect(await post('/echo/activate', { version: 2 })).toMatchObject({
      status: 200,
      body: { version: 2, previous: 1 },
    });
    await expect.poll(runningVersion, { interval: 50 }).toMatchObject({ version: 2, state: 'ready' });
    expect(await post('/echo/rollback')).toMatchObject({ status: 200, body: { version: 1, previous: 2 } });
    await expect.poll(runningVersion, { interval: 50 }).toMatchObject({ version: 1, state: 'ready' });
  });

  test('is fetched from a URL, checked against its SHA-256, and activated if requested', async () => {
    const server = createServer((_, response) => response.end(packageArchive(echo(3)))).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await expect.poll(() => server.listening).toBe(true);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/echo.tgz`;
    const wrong = await post('/install', { url, sha256: 'a'.repeat(64) });
    expect(wrong).toMatchObject({ status: 422, body: { error: expect.stringMatching(/SHA-256/) as string } });
    expect(await post('/install?activate=true', { url })).toMatchObject({
      status: 201,
      body: { activated: { version: 3 } },
    });
    expect(activeVersion()).toBe(3);
    await expect.poll(runningVersion, { interval: 50 }).toMatchObject({ version: 3, state: 'ready' });
    expect(await post('/install', { url: 'http://127.0.0.1:1/' })).toMatchObject({ status: 502 });
  });

  test('is pinned, unpinned and removed', async () => {
    expect(await post('/echo/pin', { version: 2 })).toMatchObject({ status: 409 });
    expect(await post('/echo/pin', { version: 3 })).toMatchObject({ status: 200, body: { pinned: 3 } });
    expect(await post('/echo/rollback')).toMatchObject({
      status: 409,
      body: { error: expect.stringMatching(/pinned/) as string },
    });
    expect(await post('/echo/unpin')).toMatchObject({ status: 200, body: { pinned: null } });
    expect(await call('DELETE', '/echo/versions/3')).toMatchObject({ status: 409 });
    expect(await call('DELETE', '/echo/versions/1')).toMatchObject({ status: 409 });
    expect(await call('DELETE', '/echo/versions/1?force=true')).toMatchObject({ status: 200, body: { version: 1 } });
    expect(await call('DELETE', '/echo/versions/1')).toMatchObject({ status: 404 });
    expect(await call('DELETE', '/nothing/versions/1')).toMatchObject({ status: 404 });
  });
});

test('a bad version is refused with its reason, while the good one judges on', async () => {
  const loop = { bytes: loopModel(), golden: [{ window: [1e9], score: 1 }] };
  const tooLong = /did not finish 'load' within 10000 ms/;
  const bad: readonly (readonly [TestModel, RegExp])[] = [
    [echo(9, { golden: [{ window: [0.5], score: 0.7 }] }), /expected 0\.7/],
    [echo(9, { bytes: Buffer.from('garbage'.repeat(9)) }), /no ONNX model|not an ONNX model/],
    [echo(9, { manifest: { sha256: 'a'.repeat(64) } }), /SHA-256/],
    [echo(9, loop), tooLong],
  ];
  const windows = async () => {
    const text = await (await fetch(`${agent.httpUrl}/metrics`)).text();
    return Number(/^andon_inference_runs_total\{model="echo",outcome="ok"\} (\d+)/m.exec(text)?.[1]);
  };
  for (const [model, reason] of bad) {
    const before = await windows();
    const install = () => post('/install?activate=true', packageArchive(model));
    let answer = await install();
    // On a busy machine any version may take longer to load. It is refused then too, and may be sent again.
    if (reason !== tooLong) while (tooLong.test(JSON.stringify(answer))) answer = await install();
    expect(answer).toMatchObject({ status: 422, body: { error: expect.stringMatching(reason) as string } });
    await expect.poll(windows).toBeGreaterThan(before);
  }
  expect(activeVersion()).toBe(3);
  expect(await runningVersion()).toMatchObject({ version: 3, state: 'ready' });
});

describe('what arrives is bounded', () => {
  test('an archive larger than models.maxModelSize is refused before it has arrived', async () => {
    const answer = await sendSlowly({ chunk: Buffer.alloc(1_000_000, 'x'), chunks: 100, everyMs: 1 });
    expect(answer).toMatchObject({ status: 413 });
  });

  test('a package may take longer than http.requestTimeout, and no longer than models.receiveDeadline', async () => {
    const archive = packageArchive(echo(4));
    const third = Math.ceil(archive.length / 3);
    const chunks = [0, 1, 2].map((index) => archive.subarray(index * third, (index + 1) * third));
    expect(await sendSlowly({ list: chunks, everyMs: 800 })).toMatchObject({ status: 201 });
    const late = await sendSlowly({ chunk: Buffer.of(31), chunks: 1_000, everyMs: 500 });
    expect(late).toMatchObject({ status: 408 });
  });

  test('any other request may not take longer than http.requestTimeout', async () => {
    const { hostname, port } = new URL(agent.httpUrl);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /api/v1/alarms/level/acknowledge HTTP/1.1\r\nauthorization: Bearer ${ADMIN}\r\ncontent-type: application/json\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{`,
    );
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    await new Promise((resolve) => socket.on('close', resolve));
    expect(text).toMatch(/^HTTP\/1\.1 408/);
  });

  test('four packages at a time; a fifth one is refused with Retry-After', async () => {
    const archive = packageArchive(echo(5));
    const halves = [archive.subarray(0, 100), archive.subarray(100)];
    const slow = [1, 2, 3, 4].map(() => sendSlowly({ list: halves, everyMs: 2_000 }));
    await expect.poll(() => readdirSync(join(plant.modelDirectory, '.staging')).length).toBe(4);
    const fifth = await post('/install', archive);
    expect(fifth).toMatchObject({ status: 503 });
    expect(Number(fifth.headers.get('retry-after'))).toBeGreaterThan(0);
    // The same package: one of them places it, the others find it there.
    for (const answer of await Promise.all(slow)) expect([200, 201]).toContain(answer.status);
  });

  test('an upload that breaks off leaves nothing behind', async () => {
    await sendSlowly({ chunk: packageArchive(echo(6)).subarray(0, 50), chunks: 2, everyMs: 100, breakOff: true });
    // The agent detects the broken connection later than the client.
    await expect
      .poll(async () => (await call('GET', '/audit?limit=1')).body)
      .toMatchObject({ entries: [{ outcome: 'refused', detail: { code: 'model-download-failed' } }] });
    expect(readdirSync(join(plant.modelDirectory, '.staging'))).toEqual([]);
    expect(existsSync(join(plant.modelDirectory, 'echo/6'))).toBe(false);
  });

  test.each([
    ['/install', { nothing: 'here' }, 422, /url/],
    ['/install', Buffer.from('garbage'), 422, /damaged/],
    ['/echo/activate', {}, 400, /version/],
    ['/echo/activate', { version: 77 }, 404, /not 77/],
    ['/nothing/rollback', undefined, 404, /no model 'nothing'/],
    ['/..%2Fecho/activate', { version: 1 }, 404, /no model/],
  ])('POST %s %j', async (path, body, status, reason) => {
    expect(await post(path, body)).toMatchObject({ status, body: { error: expect.stringMatching(reason) as string } });
  });
});

test('every operation is in the log with its origin, also commands on the box', async () => {
  const pinned = await andon('models', 'unpin', 'echo', '-c', folder.configFile);
  expect(pinned.code).toBe(0);
  const { status, body } = await call('GET', '/audit?limit=1000');
  expect({ status, body }).toMatchObject({ status: 200, body: { intact: true, broken: null } });
  const entries = body['entries'] as Pick<
    AuditEntry,
    'sequence' | 'actor' | 'action' | 'outcome' | 'model' | 'version'
  >[];
  expect(entries[0]).toMatchObject({
    actor: 'http.adminToken@127.0.0.1',
    action: 'install',
    model: 'echo',
    outcome: 'ok',
  });
  expect(entries.at(-1)?.actor).toMatch(/^cli:/);
  expect(entries.filter(({ outcome }) => outcome === 'refused').length).toBeGreaterThan(10);
  expect((await call('GET', '/audit?limit=1')).body['entries']).toHaveLength(1);
  const last = entries.at(-1)?.sequence;
  const before = await call('GET', `/audit?limit=1&before=${last}`);
  expect(before.body['entries']).toEqual([entries.at(-2)]);
  const ofVersion = (await call('GET', '/audit?model=echo&version=2')).body['entries'];
  expect(ofVersion).toEqual(entries.filter(({ model, version }) => model === 'echo' && version === 2));
});

test('the version that the running agent has loaded is not removed from the command line either', async () => {
  const { port } = new URL(agent.httpUrl);
  const text = readFileSync(folder.configFile, 'utf8');
  using other = new AgentFolder();
  other.configure({});
  // The same configuration, but for the port that the agent was given.
  writeFileSync(other.configFile, text.replace('127.0.0.1:0', `127.0.0.1:${port}`));
  writeFileSync(join(plant.modelDirectory, 'echo/active'), '2\n');
  await expect.poll(runningVersion).toMatchObject({ version: 2 });
  // There is no version 99, so the agent keeps version 2 however long the command takes to start.
  writeFileSync(join(plant.modelDirectory, 'echo/active'), '99\n');
  const removed = await andon('models', 'remove', 'echo@2', '--force', '-c', other.configFile);
  expect(removed).toMatchObject({ code: 1, stderr: expect.stringMatching(/running agent has it loaded/) as string });
});

test('the API says what there is', async () => {
  const answer = await fetch(`${agent.httpUrl}/api/v1/openapi.json`);
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
  expect(
    Object.keys(paths)
      .filter((path) => path.startsWith('/api/v1/models'))
      .toSorted(),
  ).toEqual([
    '/api/v1/models',
    '/api/v1/models/audit',
    '/api/v1/models/directory',
    '/api/v1/models/install',
    '/api/v1/models/train',
    '/api/v1/models/trainings',
    '/api/v1/models/trainings/{id}/cancel',
    '/api/v1/models/{name}/activate',
    '/api/v1/models/{name}/compare',
    '/api/v1/models/{name}/infer',
    '/api/v1/models/{name}/pin',
    '/api/v1/models/{name}/rollback',
    '/api/v1/models/{name}/unpin',
    '/api/v1/models/{name}/versions',
    '/api/v1/models/{name}/versions/{version}',
    '/api/v1/models/{name}/versions/{version}/documents/{file}',
  ]);
  expect(JSON.stringify(paths['/api/v1/models/install'])).toMatch(/application\/gzip/);
});

test('the agent has nothing to complain of, and stops cleanly', async () => {
  expect(await agent.end('SIGTERM')).toBe(0);
  expect(agent.stderr).toBe('');
});

/** An unknown field of the model, as protocol buffers allow: bytes that a reader skips and no compression makes small. */
function unusedField(length: number): Buffer {
  const random = Buffer.from(Array.from({ length }, (_, index) => (index * 7919 * (index % 251)) % 256));
  const tag = Buffer.from([0xfa, 0x7f]);
  const size = Buffer.from([(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]);
  return Buffer.concat([tag, size, random]);
}

type SlowBody = { readonly everyMs: number; readonly breakOff?: boolean } & (
  | { readonly list: readonly Buffer[] }
  | { readonly chunk: Buffer; readonly chunks: number }
);

/** Sends an archive in chunks. @returns The status; 0 if the connection broke first. */
function sendSlowly(body: SlowBody): Promise<{ readonly status: number }> {
  const chunks = 'list' in body ? [...body.list] : Array.from({ length: body.chunks }, () => body.chunk);
  return new Promise((resolve) => {
    const sending = request(`${agent.httpUrl}/api/v1/models/install`, {
      method: 'POST',
      headers: { 'content-type': 'application/gzip', authorization: `Bearer ${ADMIN}` },
    });
    sending.on('response', (answer) => {
      answer.resume();
      clearInterval(timer);
      resolve({ status: answer.statusCode ?? 0 });
    });
    sending.on('error', () => {
      clearInterval(timer);
      resolve({ status: 0 });
    });
    const next = (): void => {
      const chunk = chunks.shift();
      if (chunk !== undefined) return void sending.write(chunk);
      clearInterval(timer);
      if (body.breakOff === true) sending.destroy();
      else sending.end();
    };
    const timer = setInterval(next, body.everyMs);
    next();
  });
}
