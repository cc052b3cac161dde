import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { meanModel } from '../support/onnx-models.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/* A running agent with two versions of `echo`: what viewers read and run, and what engineers train. */
const ADMIN = 'a secret for the admin';
const stack = new AsyncDisposableStack();
let plant: CrashPlant;
let agent: AgentProcess;

beforeAll(async () => {
  plant = stack.use(await CrashPlant.start());
  const folder = stack.use(new AgentFolder());
  plant.addModel({
    name: 'echo',
    version: 2,
    bytes: meanModel(1, 1),
    steps: 1,
    tags: 1,
    golden: [{ window: [0.5], score: 0.5 }],
  });
  folder.configure({
    ...plant.sections('100ms'),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '5s' }, alarm: {} } },
    http: { listen: '127.0.0.1:0', adminToken: { env: 'ADMIN_TOKEN' } },
  });
  agent = stack.use(await AgentProcess.start(folder.configFile, { ADMIN_TOKEN: ADMIN }));
});
afterAll(() => stack.disposeAsync());

async function call(method: string, path: string, body?: object) {
  const answer = await fetch(`${agent.httpUrl}/api/v1/models${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
const post = (path: string, body?: object) => call('POST', path, body);

test('models, versions and their documents are listed for every viewer', async () => {
  writeFileSync(join(plant.modelDirectory, 'echo/1/report.md'), '# Report');
  const get = async (path: string) => {
    const answer = await fetch(`${agent.httpUrl}/api/v1/models${path}`);
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text };
  };
  expect(JSON.parse((await get('/directory?limit=1')).text)).toEqual({
    models: [
      {
        name: 'echo',
        versions: [1, 2],
        active: 2,
        previous: null,
        pinned: false,
        activated_ms: expect.any(Number) as number,
        rejected: [],
        problem: null,
      },
    ],
    next: null,
  });
  expect(JSON.parse((await get('/echo/versions')).text)).toMatchObject({
    versions: [{ version: 2 }, { model: 'echo', version: 1, task: 'anomaly', problem: null }],
    next: null,
  });
  expect(JSON.parse((await get('/echo/versions/1')).text)).toMatchObject({
    window: { steps: 1, step_ms: null },
    tags: [{ name: 'tag-0', unit: 'bar', range: null }],
    threshold: 1,
    documents: [{ file: 'report.md', bytes: 8 }],
  });
  const report = await get('/echo/versions/1/documents/report.md');
  expect(report).toMatchObject({ status: 200, text: '# Report' });
  expect(report.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
  expect(report.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
  expect((await get('/echo/versions/1/documents/model.onnx')).status).toBe(404);
  expect((await get('/echo/versions/7')).status).toBe(404);
  expect((await get('/nothing/versions')).status).toBe(404);
  expect(JSON.parse((await get('')).text)).toMatchObject({ models: [{ usage: { host: 'main' } }] });
});

describe('a version is tried out', () => {
  test('by any viewer, active or not, with score and verdict', async () => {
    const infer = async (body: object) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${agent.httpUrl}/api/v1/models/echo/infer`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: await answer.json() };
    };
    expect(await infer({ inputs: { window: [4] } })).toMatchObject({
      status: 200,
      body: {
        version: 2,
        provider: 'cpu',
        outputs: { score: { type: 'float32', data: [4] } },
        judgement: { score: 4, threshold: 1, verdict: 'abnormal' },
      },
    });
    expect(await infer({ version: 1, inputs: { window: [0.5] } })).toMatchObject({
      status: 200,
      body: { version: 1, judgement: { verdict: 'normal' } },
    });
    expect(await infer({ inputs: { other: [1] } })).toMatchObject({
      status: 400,
      body: { error: "The model takes the inputs 'window', but 'window' is missing, 'other' is unknown" },
    });
    expect(await infer({ version: 77, inputs: { window: [1] } })).toMatchObject({ status: 404 });
    expect(await infer({ inputs: { window: [1, 2] } })).toMatchObject({ status: 400 });
  });
});

describe('a training over HTTP', () => {
  test('is refused for an unknown watch, and reports why it failed', async () => {
    expect(await post('/train', { watch: 'other' })).toMatchObject({ status: 404 });
    const started = await post('/train', { watch: 'level' });
    expect(started).toMatchObject({
      status: 202,
      body: { watch: 'level', model: 'echo', by: 'http.adminToken@127.0.0.1' },
    });
    const list = async () => (await call('GET', '/trainings')).body['trainings'];
    await expect
      .poll(list)
      .toMatchObject([{ state: 'failed', reason: expect.stringMatching(/rows|history/) as string }]);
    expect(await post('/trainings/1/cancel')).toMatchObject({ status: 404 });
  });
});
