import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestModel } from '../support/onnx-directory.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { batchMixingModel, meanModel, rootModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';

const root: TestModel = {
  name: 'root',
  bytes: rootModel(),
  steps: 1,
  tags: 1,
  golden: [{ window: [4], score: 2 }],
};

describe('a model that is well', () => {
  test('scores each window of a batch, and says on what it ran', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    const window = Float32Array.from({ length: 16 }, (_, index) => index);
    const result = await harness.host.run(model('mean'), {
      window: { type: 'float32', dims: [2, 4, 2], data: window },
    });
    expect(result.outputs['score']).toEqual({ type: 'float32', dims: [2], data: Float32Array.of(3.5, 11.5) });
    expect(result.judgedBy).toEqual({ model: 'mean', version: 1, provider: 'cpu', fallbacks: [] });
    expect(await metricValue(harness.deps, 'andon_inference_runs_total{model="mean",outcome="ok"}')).toBe(1);
    expect(
      await metricValue(
        harness.deps,
        'andon_inference_provider_info{model="mean",version="1",provider="cpu",host="main"}',
      ),
    ).toBe(1);
  });

  test('of a fixed batch of one runs row by row, and takes any batch', async () => {
    await using harness = new HostHarness([{ ...meanOf4x2, bytes: meanModel(4, 2, 1) }]);
    await harness.ready('mean');
    expect(harness.host.ready(model('mean'))?.inputs).toEqual([{ name: 'window', type: 'float32', dims: [-1, 4, 2] }]);
    const window = Float32Array.from({ length: 24 }, (_, index) => index);
    const result = await harness.host.run(model('mean'), {
      window: { type: 'float32', dims: [3, 4, 2], data: window },
    });
    expect(result.outputs['score']).toEqual({ type: 'float32', dims: [3], data: Float32Array.of(3.5, 11.5, 19.5) });
  });

  test('keeps the results of many simultaneous runs apart', async () => {
    await using harness = new HostHarness([meanOf4x2, root]);
    await Promise.all([harness.ready('mean'), harness.ready('root')]);
    const values = Array.from({ length: 100 }, (_, index) => index);
    const means = values.map((value) => harness.host.run(model('mean'), windowOf(value)));
    const roots = values.map((value) => harness.host.run(model('root'), windowOf(value * value, [1, 1, 1])));
    expect((await Promise.all(means)).map(({ outputs }) => outputs['score']?.data[0])).toEqual(values);
    expect((await Promise.all(roots)).map(({ outputs }) => outputs['score']?.data[0])).toEqual(values);
  });

  test('names each provider that was asked for before and why it is not in use', async () => {
    await using harness = new HostHarness([meanOf4x2], { executionProviders: ['cuda', 'webgpu', 'cpu'] });
    await harness.ready('mean');
    const status = harness.status('mean');
    // On a box with a GPU an earlier one may be in use; nothing before it may go unexplained.
    const order = ['cuda', 'webgpu', 'cpu'];
    expect(status?.fallbacks.map(({ provider }) => provider)).toEqual(
      order.slice(0, order.indexOf(status?.provider ?? '')),
    );
    for (const { provider, reason } of status?.fallbacks ?? [])
      expect(harness.health('model/mean')?.reason).toContain(`${provider}: ${reason}`);
  });
});

describe('what does not fit is refused before ONNX Runtime sees it', () => {
  let harness: HostHarness;
  beforeAll(async () => {
    harness = new HostHarness([meanOf4x2, root]);
    await Promise.all([harness.ready('mean'), harness.ready('root')]);
  });
  afterAll(() => harness[Symbol.asyncDispose]());

  test.each([
    ['an unknown name', { ...windowOf(1), speed: { type: 'float32', dims: [1], data: Float32Array.of(1) } }, "'speed'"],
    ['a missing input', {}, "'window' is missing"],
    ['another type', { window: { type: 'float64', dims: [1, 4, 2], data: new Float64Array(8) } }, 'float64'],
    ['another array', { window: { type: 'float32', dims: [1, 4, 2], data: new Float64Array(8) } }, 'Float32Array'],
    ['another shape', windowOf(1, [1, 2, 4]), '[1, 2, 4], but the model takes [?, 4, 2]'],
    ['another rank', windowOf(1, [4, 2]), '[4, 2]'],
    ['no rows', windowOf(1, [0, 4, 2]), '[0, 4, 2]'],
    [
      'a length that is not the shape',
      { window: { type: 'float32', dims: [2, 4, 2], data: new Float32Array(8) } },
      '8 values',
    ],
    ['a value that is not finite', windowOf(Number.NaN), 'NaN at 0'],
  ] as const)('%s', async (_, inputs, message) => {
    await expect(harness.host.run(model('mean'), inputs)).rejects.toMatchObject({
      code: 'model-input-invalid',
      disposition: 'reject',
      message: expect.stringContaining(message),
    });
  });

  test('a score that is not finite is refused', async () => {
    await expect(harness.host.run(model('root'), windowOf(-1, [1, 1, 1]))).rejects.toMatchObject({
      code: 'model-output-invalid',
    });
    expect((await harness.host.run(model('root'), windowOf(9, [1, 1, 1]))).outputs['score']?.data[0]).toBe(3);
  });
});

describe('a model is not used', () => {
  test.each([
    [
      'that gives other outputs than its golden vectors expect',
      { ...meanOf4x2, golden: [{ window: [1, 1, 1, 1, 1, 1, 1, 1], score: 2 }] },
      'expected 2 within 0.0001',
    ],
    [
      'whose rows disturb each other in a batch',
      {
        ...root,
        bytes: batchMixingModel(),
        golden: [
          { window: [1], score: 1 },
          { window: [2], score: 2 },
        ],
      },
      'as row 0 of a batch',
    ],
    [
      'whose file is not the one its manifest was written for',
      { ...meanOf4x2, manifest: { sha256: '0'.repeat(64) } },
      'SHA-256',
    ],
    [
      'whose graph does not take what its manifest says',
      { ...meanOf4x2, bytes: meanModel(5, 2) },
      'expected [?, 4, 2]',
    ],
    ['whose file is not a model', { ...meanOf4x2, bytes: Buffer.from('not a model') }, 'not an ONNX model'],
    ['whose score has no such name', { ...meanOf4x2, manifest: { output: { score: 'risk' } } }, "no 'risk'"],
    ['that wants a provider which cannot be had', meanOf4x2, 'required'],
  ] as const)('%s', async (title, bad, reason) => {
    const config = title.includes('provider') ? { executionProviders: [{ name: 'cuda', required: true }, 'cpu'] } : {};
    await using harness = new HostHarness([bad], config);
    expect((await harness.state(bad.name, 'failed')).reason).toContain(reason);
    expect(harness.health(`model/${bad.name}`)).toMatchObject({ status: 'failed' });
    await expect(harness.host.run(model(bad.name), {})).rejects.toMatchObject({ code: 'model-not-ready' });
  });

  test('but the others are', async () => {
    await using harness = new HostHarness([{ ...root, bytes: Buffer.from('not a model') }, meanOf4x2]);
    await harness.ready('mean');
    expect((await harness.state('root', 'failed')).provider).toBeUndefined();
  });
});

describe('a version that is activated while the agent runs', () => {
  test('takes over once it has proved itself, and no window goes unjudged meanwhile', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    const versions: number[] = [];
    while (versions.at(-1) !== 2) versions.push((await harness.host.run(model('mean'), windowOf(1))).judgedBy.version);
    expect(versions[0]).toBe(1);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(
      await metricValue(
        harness.deps,
        'andon_inference_provider_info{model="mean",version="1",provider="cpu",host="main"}',
      ),
    ).toBe(0);
  });

  test('and does not prove itself leaves the one before at work, and the reason in the health', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    harness.directory.add({ ...meanOf4x2, version: 2, bytes: meanModel(5, 2) });
    harness.host.reload();
    await until(
      () => harness.health('model/mean')?.status === 'degraded',
      () => 'the health of the model',
    );
    expect(harness.health('model/mean')?.reason).toContain('version 1 keeps running');
    expect((await harness.host.run(model('mean'), windowOf(6))).outputs['score']?.data[0]).toBe(6);
    process.kill(harness.host.hostPid() ?? 0, 'SIGKILL');
    await until(
      () => harness.host.hostPid() === undefined,
      () => 'the end of the host',
    );
    await harness.ready('mean');
    expect(harness.host.ready(model('mean'))?.judgedBy.version).toBe(1);
  });

  test('that failed before is tried again', async () => {
    await using harness = new HostHarness([{ ...meanOf4x2, bytes: meanModel(5, 2) }]);
    await harness.state('mean', 'failed');
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await harness.ready('mean');
    expect(harness.health('model/mean')).toMatchObject({ status: 'ok', reason: '' });
  });

  test('after a failure stays ready when the retry that the failure had set comes due', async () => {
    const unsound = meanModel(5, 2);
    const models = [
      { ...meanOf4x2, bytes: unsound },
      { ...meanOf4x2, name: 'later', bytes: unsound },
    ];
    await using harness = new HostHarness(models, { quarantine: { retryAfter: '1s' } });
    await harness.state('mean', 'failed');
    await harness.state('later', 'failed');
    harness.directory.add({ ...meanOf4x2, version: 2 });
    harness.host.reload();
    await harness.ready('mean');
    await harness.state('later', 'failed');
    // The other's retry was put off by the reload: once it has been made, the first one's time is over.
    harness.directory.add({ ...meanOf4x2, name: 'later', version: 2 });
    await harness.ready('later');
    expect(harness.status('mean')).toMatchObject({ state: 'ready', version: 2 });
  });
});

test('a host without models starts nothing', async () => {
  await using harness = new HostHarness([]);
  expect(harness.host.hostPid()).toBeUndefined();
  expect(harness.health('inference')?.status).toBe('ok');
});
