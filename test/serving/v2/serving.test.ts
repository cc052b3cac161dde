import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OperatingError } from '../../../src/platform/errors.ts';
import { metricValue } from '../../support/test-deps.ts';
import { echoModel, FakeModels } from './fake-models.ts';
import { V2Server } from '../../support/v2-server.ts';

const echo = echoModel('echo', [{ name: 'x', type: 'float32', dims: [-1, 2] }], 3);
const pinned = echoModel('pinned', [{ name: 'x', type: 'int64', dims: [1] }], 1);
const newer = echoModel('pinned', [{ name: 'x', type: 'int64', dims: [1] }], 2);
const words = echoModel('words', [
  { name: 'text', type: 'string', dims: [-1] },
  { name: 'flags', type: 'bool', dims: [-1] },
]);
const broken = { ...echoModel('broken', []), state: 'failed' as const };

const asJson = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1.5, -2] };

describe('models as a service', () => {
  let models: FakeModels;
  let server: V2Server;

  async function serve(settings: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await server?.[Symbol.asyncDispose]();
    server = await V2Server.start(models, settings);
  }

  beforeEach(async () => {
    models = new FakeModels([echo, pinned, newer, words]);
    server = await V2Server.start(models);
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('the server says what it is and what it can', async () => {
    const answer = await server.get('/v2');
    expect(await answer.json()).toEqual({
      name: 'andon',
      version: '1.2.3',
      extensions: ['binary_tensor_data', 'statistics', 'model_configuration', 'parameters', 'generate'],
    });
  });

  test('alive and ready are said by status and body', async () => {
    expect(await statusAndJson(server.get('/v2/health/live'))).toEqual([200, { live: true }]);
    expect(await statusAndJson(server.get('/v2/health/ready'))).toEqual([200, { ready: true }]);
    expect(await statusAndJson(server.get('/v2/models/echo/ready'))).toEqual([200, { name: 'echo', ready: true }]);
    models = new FakeModels([echo, broken]);
    await serve();
    expect(await statusAndJson(server.get('/v2/health/live'))).toEqual([200, { live: true }]);
    expect(await statusAndJson(server.get('/v2/health/ready'))).toEqual([503, { ready: false }]);
    expect(await statusAndJson(server.get('/v2/models/broken/ready'))).toEqual([
      503,
      { name: 'broken', ready: false, error: "Model 'broken' is failed: out of order" },
    ]);
  });

  test('a model describes its tensors, its versions and its configuration', async () => {
    expect(await json(server.get('/v2/models/echo'))).toEqual({
      name: 'echo',
      versions: ['3'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    });
    expect(await json(server.get('/v2/models/pinned'))).toMatchObject({ versions: ['2', '1'] });
    expect(await json(server.get('/v2/models/words/versions/1/config'))).toMatchObject({
      name: 'words',
      max_batch_size: 0,
      input: [
        { name: 'text', data_type: 'TYPE_STRING', dims: [-1] },
        { name: 'flags', data_type: 'TYPE_BOOL' },
      ],
    });
  });

  test('an inference in JSON is answered in JSON', async () => {
    const answer = await server.post('/v2/models/echo/infer', {
      id: 'a1',
      parameters: { line: 2 },
      inputs: [{ ...asJson, data: [[1.5, -2]] }],
      outputs: [{ name: 'x' }],
    });
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(await answer.json()).toEqual({
      model_name: 'echo',
      model_version: '3',
      id: 'a1',
      parameters: { line: 2 },
      outputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1.5, -2] }],
    });
    expect(models.asked).toMatchObject([{ model: 'echo' }]);
  });

  test('tensors travel in their binary form in either direction, each as it was asked for', async () => {
    const strings = Buffer.from('\u0003\0\0\0\u20ac', 'utf8');
    const header = Buffer.from(
      JSON.stringify({
        inputs: [
          { name: 'text', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: strings.length } },
          { name: 'flags', datatype: 'BOOL', shape: [2], data: [true, false] },
        ],
        outputs: [{ name: 'flags' }, { name: 'text', parameters: { binary_data: true } }],
      }),
    );
    const answer = await server.post('/v2/models/words/infer', Buffer.concat([header, strings]), {
      'inference-header-content-length': String(header.length),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    const length = Number(answer.headers.get('inference-header-content-length'));
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(JSON.parse(body.toString('utf8', 0, length))).toMatchObject({
      outputs: [
        { name: 'flags', datatype: 'BOOL', shape: [2], data: [true, false] },
        { name: 'text', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: strings.length } },
      ],
    });
    expect(body.subarray(length)).toEqual(strings);
  });

  test('a body that is nothing but the one tensor is taken as such', async () => {
    const answer = await server.post('/v2/models/echo/infer', new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer), {
      'inference-header-content-length': '0',
    });
    const length = Number(answer.headers.get('inference-header-content-length'));
    const body = Buffer.from(await answer.arrayBuffer());
    expect(JSON.parse(body.toString('utf8', 0, length))).toMatchObject({ outputs: [{ shape: [2, 2] }] });
    expect(body.readFloatLE(length + 12)).toBe(4);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('%s is understood in requests and used in answers that are worth it', async (coding, compress) => {
    const rows = 400;
    const data = Array.from({ length: rows * 2 }, (_, index) => index);
    const request = { inputs: [{ ...asJson, shape: [rows, 2], data }] };
    const body = compress(Buffer.from(JSON.stringify(request)));
    const headers = { 'content-encoding': coding, 'accept-encoding': coding };
    const answer = await server.post('/v2/models/echo/infer', body, headers);
    expect(answer.headers.get('content-encoding')).toBe(coding);
    expect(await answer.json()).toMatchObject({ outputs: [{ shape: [rows, 2], data }] });
  });

  test('a version is the one asked for, in its URL and in the answer', async () => {
    const request = { inputs: [{ name: 'x', datatype: 'INT64', shape: [1], data: [7] }] };
    for (const version of ['1', '2'])
      expect(await json(server.post(`/v2/models/pinned/versions/${version}/infer`, request))).toMatchObject({
        model_version: version,
      });
    expect(models.asked.map(({ model }) => model)).toEqual(['pinned', 'pinned@2']);
    expect((await server.post('/v2/models/pinned/versions/9/infer', request)).status).toBe(404);
    expect((await server.get('/v2/models/pinned/versions/x')).status).toBe(404);
  });

  test('a version that changed while the request waited is not passed off as the one asked for', async () => {
    const run = models.run.bind(models);
    models.run = async (...asked) => {
      const result = await run(...asked);
      return { ...result, judgedBy: { ...result.judgedBy, version: 4 } };
    };
    const answer = await server.post('/v2/models/echo/versions/3/infer', { inputs: [asJson] });
    expect(await statusAndJson(Promise.resolve(answer))).toEqual([
      503,
      { error: "Version 4 of model 'echo' replaced version 3 during the request" },
    ]);
  });

  test('statistics are those of the host', async () => {
    const { model_stats: all } = await json(server.get('/v2/models/stats'));
    expect(all).toHaveLength(4);
    expect(await json(server.get('/v2/models/pinned/versions/2/stats'))).toEqual({
      model_stats: [
        expect.objectContaining({
          name: 'pinned',
          version: '2',
          inference_count: 6,
          execution_count: 2,
          inference_stats: expect.objectContaining({
            success: { count: 3, ns: 9_000_000 },
            queue: { count: 3, ns: 2_000_000 },
            compute_infer: { count: 2, ns: 5_000_000 },
          }),
        }),
      ],
    });
    expect((await server.get('/v2/models/nobody/stats')).status).toBe(404);
    expect(await json(server.get('/v2/models/pinned/versions/9/stats'))).toEqual({
      error: "Model 'pinned' version 9 is not loaded",
    });
  });

  test.each([
    ['inference-queue-full', 'retry', 503],
    ['host-crashed', 'retry', 503],
    ['inference-timeout', 'retry', 503],
    ['model-not-ready', 'retry', 503],
    ['model-input-invalid', 'reject', 400],
    ['model-run-failed', 'reject', 400],
    ['model-output-invalid', 'reject', 500],
  ] as const)('%s is answered with its status and its reason', async (code, disposition, status) => {
    models.failure = new OperatingError(code, disposition, `because of ${code}`);
    const answer = await server.post('/v2/models/echo/infer', { inputs: [asJson] });
    expect([answer.status, await answer.json()]).toEqual([status, { error: `because of ${code}` }]);
    expect(answer.headers.get('retry-after')).toBe(status === 503 ? '1' : null);
    expect(await metricValue(server.deps, `andon_http_infer_refused_total{code="${code}"}`)).toBe(1);
  });

  test.each([
    ['an unknown model', '/v2/models/nobody/infer', {}, {}, 404],
    ['no body', '/v2/models/echo/infer', new Uint8Array(), {}, 400],
    ['an output that is not there', '/v2/models/echo/infer', { inputs: [asJson], outputs: [{ name: 'y' }] }, {}, 400],
    ['a header length in words', '/v2/models/echo/infer', {}, { 'inference-header-content-length': 'all' }, 400],
    ['an unknown content coding', '/v2/models/echo/infer', {}, { 'content-encoding': 'br' }, 400],
    ['what is not gzip', '/v2/models/echo/infer', {}, { 'content-encoding': 'gzip' }, 400],
  ])('%s is an error in words', async (_, path, body, headers, status) => {
    const answer = await server.post(path, body, headers);
    expect([answer.status, await answer.json()]).toEqual([status, { error: expect.stringMatching(/\w+ \w+/) }]);
    expect(models.asked).toEqual([]);
  });

  test('bodies are bounded as sent and as decompressed', async () => {
    await serve({ maxBody: '10kB' });
    const large = await server.post('/v2/models/echo/infer', Buffer.alloc(11_000));
    expect({ status: large.status, body: await large.json() }).toEqual({
      status: 413,
      body: { error: 'The body is larger than 10.0 kB' },
    });
    const bomb = gzipSync(Buffer.alloc(1_000_000));
    const answer = await server.post('/v2/models/echo/infer', bomb, { 'content-encoding': 'gzip' });
    expect([answer.status, await answer.json()]).toEqual([
      413,
      { error: 'The decompressed body is larger than 10.0 kB' },
    ]);
  });

  test('requests that together need too much memory are refused with 503, and the memory is released', async () => {
    await serve({ maxBody: '10kB' });
    const { hostname, port } = new URL(server.url);
    const head = `POST /v2/models/echo/infer HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 10000\r\n\r\n`;
    const slow = Array.from({ length: 8 }, () => connect(Number(port), hostname).on('error', () => undefined));
    for (const socket of slow) socket.write(head);
    await expect.poll(() => metricValue(server.deps, 'andon_http_infer_bytes')).toBe(80_000);
    const refused = await server.post('/v2/models/echo/infer', { inputs: [asJson] });
    expect(refused.status).toBe(503);
    for (const socket of slow) socket.destroy();
    await expect.poll(() => metricValue(server.deps, 'andon_http_infer_bytes')).toBe(0);
    expect((await server.post('/v2/models/echo/infer', { inputs: [asJson] })).status).toBe(200);
  });

  test('a large request in JSON is read and answered in a thread of its own', async () => {
    const rows = 50_000;
    const data = Array.from({ length: rows * 2 }, (_, index) => index / 8);
    const answer = await server.post('/v2/models/echo/infer', { inputs: [{ ...asJson, shape: [rows, 2], data }] });
    expect(await answer.json()).toMatchObject({ outputs: [{ shape: [rows, 2], data }] });
    const wrong = await server.post('/v2/models/echo/infer', { inputs: [{ ...asJson, shape: [rows, 3], data }] });
    expect([wrong.status, await wrong.json()]).toEqual([
      400,
      { error: "Input 'x' has 100000 elements, but shape [50000, 3] has 150000" },
    ]);
  });

  test('four megabytes of empty objects are refused like anything else, and the next request is answered', async () => {
    // The thread that reads them has the lowest priority; a connection is closed after twice this time.
    await serve({ requestTimeout: '1m' });
    const hostile = `{"inputs":7,"x":[${'{},'.repeat(1_300_000)}0]}`;
    const hit = await server.post('/v2/models/echo/infer', Buffer.from(hostile));
    expect([hit.status, await hit.json()]).toEqual([400, { error: "'inputs' is missing or not an array" }]);
    const rows = 10_000;
    const sound = { inputs: [{ ...asJson, shape: [rows, 2], data: Array.from({ length: rows * 2 }, () => 1) }] };
    expect((await server.post('/v2/models/echo/infer', sound)).status).toBe(200);
  });
});

describe('the model repository', () => {
  const token = (text: string) => {
    const path = join(mkdtempSync(join(tmpdir(), 'andon-')), 'token');
    writeFileSync(path, text);
    return { file: path };
  };
  const admin = { authorization: 'Bearer let me in' };

  test('needs a login also on a loopback address', async () => {
    const models = new FakeModels([echo]);
    await using server = await V2Server.start(models);
    for (const path of ['/v2/repository/index', '/v2/repository/models/echo/load', '/v2/repository/models/echo/unload'])
      expect((await server.post(path, {})).status).toBe(401);
    expect(models.repositoryActs).toEqual([]);
  });

  test('is open to engineers alone', async () => {
    const models = new FakeModels([echo]);
    await using server = await V2Server.start(models, { token: token('client'), adminToken: token('let me in') });
    const load = '/v2/repository/models/echo/load';
    expect((await server.post(load, {})).status).toBe(401);
    expect((await server.post(load, {}, { authorization: 'Bearer client' })).status).toBe(403);
    expect((await server.post(load, {}, admin)).status).toBe(200);
    expect(models.repositoryActs).toEqual(['load echo']);
    expect((await server.get('/v2/models/echo', { authorization: 'Bearer client' })).status).toBe(200);
    expect((await server.get('/v2/models/echo', admin)).status).toBe(200);
    expect((await server.get('/v2/models/echo')).status).toBe(401);
    expect((await server.get('/v2/health/ready')).status).toBe(200);
  });

  test('is listed, loaded and unloaded', async () => {
    const models = new FakeModels([echo]);
    await using server = await V2Server.start(models, { adminToken: token('let me in') });
    expect(await json(server.get('/v2', admin))).toMatchObject({
      extensions: expect.arrayContaining(['model_repository']),
    });
    expect(await json(server.post('/v2/repository/index', {}, admin))).toEqual([
      { name: 'echo', version: '1', state: 'READY', reason: '' },
      { name: 'other', version: '2', state: 'UNAVAILABLE', reason: 'unverified' },
    ]);
    expect(await json(server.post('/v2/repository/index', { ready: true }, admin))).toHaveLength(1);
    expect((await server.post('/v2/repository/models/other@2/load', new Uint8Array(), admin)).status).toBe(200);
    expect((await server.post('/v2/repository/models/other/unload', {}, admin)).status).toBe(200);
    expect((await server.post('/v2/repository/models/watched/unload', {}, admin)).status).toBe(409);
    expect((await server.post('/v2/repository/models/..%2Fetc/load', {}, admin)).status).toBe(404);
    expect((await server.post('/v2/repository/models/absent/load', {}, admin)).status).toBe(404);
    expect(models.repositoryActs).toEqual(['load other@2', 'unload other', 'unload watched', 'load absent']);
  });

  test('loads, and a model runs, for longer than a connection may be idle', async () => {
    const models = new FakeModels([echo]);
    // Twice this time is the idle limit.
    const settings = { requestTimeout: '1s', adminToken: token('let me in') };
    await using server = await V2Server.start(models, settings);
    const [load, run] = [models.load.bind(models), models.run.bind(models)];
    const afterIdle = () => new Promise((resolve) => setTimeout(resolve, 3_500));
    models.load = async (model) => afterIdle().then(() => load(model));
    models.run = async (...asked) => afterIdle().then(() => run(...asked));
    const answers = await Promise.all([
      server.post('/v2/repository/models/echo/load', {}, admin),
      server.post('/v2/models/echo/infer', { inputs: [asJson] }, admin),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('never takes a model or its configuration from the request', async () => {
    const models = new FakeModels([echo]);
    await using server = await V2Server.start(models, { adminToken: token('let me in') });
    const parameters = { 'file:1/model.onnx': 'AAAA' };
    const answer = await server.post('/v2/repository/models/echo/load', { parameters }, admin);
    expect(answer.status).toBe(400);
    expect(models.repositoryActs).toEqual([]);
  });
});

// oxlint-disable-next-line typescript/no-explicit-any -- Tests look into answers of any shape.
async function json(answer: Promise<Response>): Promise<any> {
  return (await answer).json();
}

async function statusAndJson(answer: Promise<Response>): Promise<readonly [number, unknown]> {
  const { status } = await answer;
  return [status, await (await answer).json()];
}
