import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Tensor, TensorType } from '../../src/contracts/inference.ts';
import { tensorData } from '../../src/models/checks/tensor-check.ts';
import { buildOnnx } from '../support/onnx-builder.ts';
import { HostHarness, meanOf4x2, model, until, windowOf } from '../support/onnx-host-harness.ts';
import { loopModel, rootModel, twiceModel } from '../support/onnx-models.ts';
import { metricValue } from '../support/test-deps.ts';

const loop = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };
const root = { name: 'root', bytes: rootModel(), steps: 1, tags: 1, golden: [{ window: [4], score: 2 }] };

describe('a client', () => {
  test('of a watch’s model is answered by a copy in another process', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    const { outputs } = await harness.host.clients.run(model('mean'), windowOf(7));
    expect(outputs['score']?.data[0]).toBe(7);
    expect(harness.host.hostPid('clients')).not.toBe(harness.host.hostPid());
    expect(harness.host.statuses().map(({ name, state }) => [name, state])).toEqual([
      ['mean', 'ready'],
      ['mean', 'ready'],
    ]);
  });

  test('who takes its process down costs the watch nothing', async () => {
    await using harness = new HostHarness([loop, meanOf4x2], { limits: { loop: { deadline: '200ms' } } });
    await harness.ready('loop');
    await harness.ready('mean');
    const pid = harness.host.hostPid();
    const deadly = harness.host.clients.run(model('loop'), windowOf(1e9, [1, 1, 1]));
    const settled = deadly.then(
      () => 'answered',
      (error: unknown) => (error as { code: string }).code,
    );
    const over = settled.then(() => 'over' as const);
    let judged = 0;
    while ((await Promise.race([over, harness.host.run(model('mean'), windowOf(1))])) !== 'over') judged += 1;
    expect(await settled).toBe('inference-timeout');
    expect(judged).toBeGreaterThan(0);
    expect(harness.host.hostPid()).toBe(pid);
  });

  test('is given what the graph gives, NaN too; a watch is not', async () => {
    await using harness = new HostHarness([root]);
    await harness.ready('root');
    const negative = windowOf(-1, [1, 1, 1]);
    expect((await harness.host.clients.run(model('root'), negative)).outputs['score']?.data[0]).toBeNaN();
    await expect(harness.host.run(model('root'), negative)).rejects.toMatchObject({ code: 'model-output-invalid' });
  });

  test('waits behind the watch if both are in one process', async () => {
    await using harness = new HostHarness([loop], { limits: { loop: { host: 'main' } } });
    await harness.ready('loop');
    const order: string[] = [];
    const run = (who: string, as: 'watch' | 'client') =>
      (as === 'watch' ? harness.host : harness.host.clients)
        .run(model('loop'), windowOf(100_000, [1, 1, 1]))
        .then(() => order.push(who));
    await Promise.all([
      run('watch 1', 'watch'),
      run('client 1', 'client'),
      run('client 2', 'client'),
      run('watch 2', 'watch'),
      run('watch 3', 'watch'),
    ]);
    expect(order.slice(0, 3)).toEqual(['watch 1', 'watch 2', 'watch 3']);
    expect(order).toHaveLength(5);
  });

  test('is refused when as many wait as may', async () => {
    await using harness = new HostHarness([loop], { limits: { loop: { host: 'main', maxQueue: 2 } } });
    await harness.ready('loop');
    const run = (count: number) =>
      harness.host.clients.run(model('loop'), windowOf(count, [1, 1, 1])).then(
        () => 'answered',
        (error: unknown) => (error as { code: string }).code,
      );
    const long = run(2e6);
    await harness.runBegun();
    const outcomes = await Promise.all([long, run(1), run(1), run(1)]);
    expect(outcomes).toEqual(['answered', 'answered', 'answered', 'inference-queue-full']);
  });

  test('asks for one run of no more rows than the model takes', async () => {
    await using harness = new HostHarness([meanOf4x2], { limits: { mean: { maxBatch: 2 } } });
    await harness.ready('mean');
    await expect(harness.host.clients.run(model('mean'), windowOf(1, [3, 4, 2]))).rejects.toMatchObject({
      code: 'model-input-invalid',
      message: expect.stringContaining('3 rows at once'),
    });
    expect((await harness.host.run(model('mean'), windowOf(1, [3, 4, 2]))).outputs['score']?.dims).toEqual([3]);
  });
});

describe('requests of several clients', () => {
  test('go as one run, and each gets its own rows', async () => {
    await using harness = new HostHarness([meanOf4x2], { limits: { mean: { maxDelay: '50ms', maxBatch: 16 } } });
    await harness.ready('mean');
    await harness.host.clients.run(model('mean'), windowOf(0));
    const results = await Promise.all(
      Array.from({ length: 16 }, (_, index) => harness.host.clients.run(model('mean'), windowOf(index))),
    );
    expect(results.map(({ outputs }) => [...(outputs['score']?.data ?? [])])).toEqual(
      results.map((_, index) => [index]),
    );
    expect(harness.host.clients.statistics()).toMatchObject([
      { name: 'mean', version: 1, inferences: 17, executions: 2, succeeded: { count: 17 }, failed: { count: 0 } },
    ]);
  });

  test('of which one is at fault fail that one alone', async () => {
    // Division by zero is an error for integers in no graph; a gather out of range is.
    await using harness = new HostHarness([], { limits: { pick: { maxDelay: '50ms' } } });
    addGraph(harness, 'pick', pickModel(), [
      { inputs: { index: [1] }, outputs: { value: [20] } },
      { inputs: { index: [0] }, outputs: { value: [10] } },
    ]);
    await harness.host.clients.load(model('pick'));
    const pick = (index: number) =>
      harness.host.clients.run(model('pick'), {
        index: { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(index)) },
      });
    const results = await Promise.allSettled([pick(0), pick(9), pick(2)]);
    expect(
      results.map((result) => (result.status === 'fulfilled' ? result.value.outputs['value']?.data[0] : 'failed')),
    ).toEqual([10, 'failed', 30]);
  });

  test('are not joined if the graph mixes its rows', async () => {
    await using harness = new HostHarness([], { limits: { mixing: { maxDelay: '50ms' } } });
    const mixing = buildOnnx({
      inputs: [{ name: 'x', type: 'float32', dims: ['n', 1] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['n', 1] }],
      nodes: [
        { op: 'ReduceMean', inputs: ['x'], outputs: ['mean'], attributes: { axes: [0], keepdims: 1 } },
        { op: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
      ],
    });
    addGraph(harness, 'mixing', mixing, [{ inputs: { x: { dims: [1, 1], data: [3] } }, outputs: { y: [0] } }]);
    await harness.host.clients.load(model('mixing'));
    const run = (value: number) =>
      harness.host.clients.run(model('mixing'), { x: { type: 'float32', dims: [1, 1], data: Float32Array.of(value) } });
    const results = await Promise.all([run(1), run(5)]);
    expect(results.map(({ outputs }) => outputs['y']?.data[0])).toEqual([0, 0]);
  });
});

describe('any graph', () => {
  const types: readonly TensorType[] = [
    'float16',
    'float32',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
    'string',
  ];
  test('of every type is served, its golden vectors checked', async () => {
    await using harness = new HostHarness([]);
    // Loads that are requested together share a fresh host.
    const served = types.map(async (type) => {
      const bytes = buildOnnx({
        inputs: [{ name: 'in', type, dims: ['n', 2] }],
        outputs: [{ name: 'out', type, dims: ['n', 2] }],
        nodes: [{ op: 'Identity', inputs: ['in'], outputs: ['out'] }],
      });
      const values = type === 'string' ? ['left', 'right'] : [1, 0];
      const golden = { dims: [1, 2], data: values };
      addGraph(harness, type, bytes, [{ inputs: { in: golden }, outputs: { out: golden } }]);
      await harness.host.clients.load(model(type));
      const tensor: Tensor = { type, dims: [1, 2], data: tensorData(type, values) };
      expect((await harness.host.clients.run(model(type), { in: tensor })).outputs['out']).toEqual(tensor);
      const other = { dims: [1, 2], data: values.toReversed() };
      addGraph(harness, `${type}-wrong`, bytes, [{ inputs: { in: golden }, outputs: { out: other } }]);
      await expect(harness.host.clients.load(model(`${type}-wrong`))).rejects.toThrow("of 'out', expected");
    });
    await Promise.all(served);
  });

  test('may take scalars, tensors without values, and 64-bit integers past 2^53', async () => {
    await using harness = new HostHarness([]);
    const bytes = buildOnnx({
      inputs: [
        { name: 'id', type: 'int64', dims: [] },
        { name: 'rest', type: 'float32', dims: ['n', 3] },
      ],
      outputs: [
        { name: 'same', type: 'int64', dims: [] },
        { name: 'others', type: 'float32', dims: ['n', 3] },
      ],
      nodes: [
        { op: 'Identity', inputs: ['id'], outputs: ['same'] },
        { op: 'Identity', inputs: ['rest'], outputs: ['others'] },
      ],
    });
    const id = { dims: [], data: ['9007199254740993'] };
    const none = { dims: [0, 3], data: [] };
    addGraph(harness, 'odd', bytes, [{ inputs: { id, rest: none }, outputs: { same: id, others: none } }]);
    await harness.host.clients.load(model('odd'));
    const inputs = {
      id: { type: 'int64', dims: [], data: BigInt64Array.of(9_007_199_254_740_993n) },
      rest: { type: 'float32', dims: [0, 3], data: new Float32Array() },
    } as const;
    expect((await harness.host.clients.run(model('odd'), inputs)).outputs).toEqual({
      same: inputs.id,
      others: inputs.rest,
    });
  });

  test('without golden vectors is served as unverified, under `task: other` alone', async () => {
    await using harness = new HostHarness([]);
    addGraph(harness, 'bare', twiceModel(), []);
    await harness.host.clients.load(model('bare'));
    expect(await harness.host.clients.repository()).toEqual([
      { name: 'bare', version: 1, state: 'ready', reason: expect.stringContaining('unverified'), active: true },
    ]);
    addGraph(harness, 'claims', twiceModel(), [], { task: 'classification' });
    await expect(harness.host.clients.load(model('claims'))).rejects.toThrow('must have at least one vector');
  });

  test('that came without model.yaml is refused, with what must be written', async () => {
    await using harness = new HostHarness([]);
    addGraph(harness, 'alone', twiceModel(), []);
    rmSync(join(harness.directory.path, 'alone/1/model.yaml'));
    await expect(harness.host.clients.load(model('alone'))).rejects.toThrow('golden: [] }');
  });

  test('is nothing that a watch may use', async () => {
    await using harness = new HostHarness([]);
    addGraph(harness, 'bare', twiceModel(), []);
    await harness.host.clients.load(model('bare'));
    expect(harness.host.ready(model('bare'))).toBeUndefined();
    expect(harness.host.clients.served(model('bare'))?.inputs).toEqual([{ name: 'x', type: 'float32', dims: [-1, 2] }]);
    await expect(harness.host.run(model('bare'), {})).rejects.toMatchObject({ code: 'model-not-ready' });
  });
});

describe('the repository', () => {
  test('loads and unloads models for clients, but never unloads a watch’s', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    addGraph(harness, 'twice', twiceModel(), []);
    const states = async () => (await harness.host.clients.repository()).map(({ name, state }) => [name, state]);
    await harness.ready('mean');
    expect(await states()).toEqual([
      ['mean', 'ready'],
      ['twice', 'unloaded'],
    ]);
    await harness.host.clients.load(model('twice@1'));
    expect(await states()).toEqual([
      ['mean', 'ready'],
      ['twice', 'ready'],
    ]);
    expect(harness.host.clients.served(model('twice@1'))?.judgedBy.version).toBe(1);
    await harness.host.clients.unload(model('twice@1'));
    expect(await states()).toEqual([
      ['mean', 'ready'],
      ['twice', 'unloaded'],
    ]);
    await expect(harness.host.clients.unload(model('mean'))).rejects.toMatchObject({ code: 'model-in-use' });
    await expect(harness.host.clients.run(model('twice@1'), {})).rejects.toMatchObject({ code: 'model-not-ready' });
  });

  test('lets the run in progress end before a model is unloaded, and refuses the runs that wait', async () => {
    await using harness = new HostHarness([meanOf4x2]);
    await harness.ready('mean');
    harness.directory.add({ ...loop, name: 'slow' });
    await harness.host.clients.load(model('slow'));
    const run = (count: number) => harness.host.clients.run(model('slow'), windowOf(count, [1, 1, 1]));
    const underWay = run(300_000);
    await harness.runBegun('clients');
    const waiting = run(1);
    const unloaded = harness.host.clients.unload(model('slow'));
    await expect(waiting).rejects.toMatchObject({ code: 'model-not-ready' });
    expect((await underWay).outputs['score']?.data[0]).toBe(300_000);
    await unloaded;
    expect(harness.host.clients.served(model('slow'))).toBeUndefined();
    await harness.host.clients.load(model('slow'));
    expect((await run(4)).outputs['score']?.data[0]).toBe(4);
  });

  test('serves the configured models at the start, and counts requests that arrive immediately', async () => {
    await using harness = new HostHarness([{ ...meanOf4x2 }, root], { serve: 'all' });
    await until(
      () => harness.host.statuses().filter(({ state }) => state === 'ready').length === 4,
      () => JSON.stringify(harness.host.statuses()),
    );
    await harness.host.clients.run(model('mean'), windowOf(1));
    expect(await metricValue(harness.deps, 'nv_inference_request_success{model="mean",version="1"}')).toBe(1);
    expect(await metricValue(harness.deps, 'nv_inference_exec_count{model="mean",version="1"}')).toBe(1);
  });

  test('holds no more models for clients than it may', async () => {
    await using harness = new HostHarness([], { maxServed: 1 });
    addGraph(harness, 'one', twiceModel(), []);
    addGraph(harness, 'two', twiceModel(), []);
    await harness.host.clients.load(model('one'));
    await expect(harness.host.clients.load(model('two'))).rejects.toMatchObject({ code: 'too-many-models' });
    await harness.host.clients.unload(model('one'));
    await harness.host.clients.load(model('two'));
  });

  test('a model or version that is not there leaves nothing behind that would count as failed', async () => {
    await using harness = new HostHarness([]);
    addGraph(harness, 'one', twiceModel(), []);
    for (const absent of ['two', 'one@9'])
      await expect(harness.host.clients.load(model(absent))).rejects.toMatchObject({ code: 'model-version-unknown' });
    expect(harness.host.statuses()).toEqual([]);
  });

  test('says why a model could not be loaded, and takes one that was put right', async () => {
    await using harness = new HostHarness([]);
    addGraph(harness, 'sick', Buffer.from('no graph'), []);
    await expect(harness.host.clients.load(model('sick'))).rejects.toMatchObject({ code: 'model-load-failed' });
    expect(await harness.host.clients.repository()).toMatchObject([
      { name: 'sick', state: 'failed', reason: expect.stringContaining('not an ONNX model') },
    ]);
    addGraph(harness, 'sick', twiceModel(), []);
    await harness.host.clients.load(model('sick'));
    expect(harness.host.clients.served(model('sick'))).toBeDefined();
  });
});

/** Value at an index of [10, 20, 30]; an error for any other. */
function pickModel(): Uint8Array {
  return buildOnnx({
    inputs: [{ name: 'index', type: 'int64', dims: ['n'] }],
    outputs: [{ name: 'value', type: 'float32', dims: ['n'] }],
    initializers: [{ name: 'values', type: 'float32', dims: [3], data: [10, 20, 30] }],
    nodes: [{ op: 'Gather', inputs: ['values', 'index'], outputs: ['value'] }],
  });
}

function addGraph(
  harness: HostHarness,
  name: string,
  bytes: Uint8Array,
  golden: readonly unknown[],
  more: Readonly<Record<string, unknown>> = {},
): void {
  harness.directory.addGraph({ name, bytes, golden, more });
}
