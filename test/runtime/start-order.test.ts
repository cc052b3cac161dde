import { expect, test } from 'vitest';
import { ModelDirectory } from '../../src/models/store/model-directory.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import type { ModelSlot } from '../../src/runtime/host/model-slot.ts';
import { startOrder } from '../../src/runtime/host/start-order.ts';
import { SessionRunner } from '../../src/runtime/session/session-runner.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanOf4x2, model } from '../support/onnx-host-harness.ts';

type RunState = 'loading' | 'failed' | 'quarantined';

/** A model that never ran, or that ran in the host that was lost and took `loadMs` to load. */
function slot(label: string, state: RunState, loadMs: number | undefined, load = 'idle'): ModelSlot {
  const run = loadMs === undefined ? { kind: 'none', state } : { kind: 'lost', loaded: { loadMs } };
  return { label, state: { run, load } } as unknown as ModelSlot;
}

function labels({ immediately, later }: ReturnType<typeof startOrder>): readonly (readonly string[])[] {
  return [immediately.map(({ label }) => label), later.map(({ label }) => label)];
}

test('at the first start all models load one after another, except failed ones', () => {
  const slots = [slot('a', 'loading', undefined), slot('b', 'failed', undefined), slot('c', 'loading', undefined)];
  expect(labels(startOrder(slots))).toEqual([['a', 'c'], []]);
});

test('after a crash quick models are back first; slow models and models that never ran do not delay them', () => {
  const slots = [
    slot('heavy', 'loading', 3000),
    slot('new', 'loading', undefined),
    slot('light', 'loading', 200),
    slot('lighter', 'loading', 20),
    slot('bad', 'quarantined', undefined),
  ];
  expect(labels(startOrder(slots))).toEqual([
    ['lighter', 'light'],
    ['heavy', 'new'],
  ]);
});

test('if all are slow, one of them is loaded immediately: nothing waits for it yet', () => {
  const slots = [slot('heavier', 'loading', 3000), slot('heavy', 'loading', 1000)];
  expect(labels(startOrder(slots))).toEqual([['heavy'], ['heavier']]);
});

test('a model that failed is loaded if its active version was to be looked up when the host was lost', () => {
  const slots = [slot('sought', 'failed', undefined, 'requested'), slot('failed', 'failed', undefined)];
  expect(labels(startOrder(slots))).toEqual([['sought'], []]);
});

test('a model that runs on a server is left to the take-over, which replaces it only by a version that was proved', () => {
  const onServer = { label: 'remote', state: { run: { kind: 'remote' }, load: 'requested' } } as unknown as ModelSlot;
  expect(labels(startOrder([onServer]))).toEqual([[], []]);
});

test('no model is slow because the machine was busy during its load', async () => {
  using directory = new TestModelDirectory([meanOf4x2]);
  const config = modelsConfigSchema.parse({ directory: directory.path });
  const stored = await ModelDirectory.of(config).find(model('mean'));
  const loading = new SessionRunner().load({
    key: 'mean',
    model: stored,
    directory: directory.path,
    modelBytesMax: config.maxModelSizeBytes,
    stagingDirectory: directory.path,
    provider: { name: 'cpu', required: false, deviceId: 0 },
    intraOpThreads: 1,
  });
  // The load has begun, and gets no CPU time for 2 s.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  expect((await loading).loadMs).toBeLessThan(2_000);
});
