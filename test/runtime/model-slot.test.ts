import { expect, test } from 'vitest';
import type { HostProcess } from '../../src/runtime/host/host-process.ts';
import { ModelSlot } from '../../src/runtime/host/model-slot.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { readManifest } from '../../src/models/store/manifest-file.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';

/** A slot whose model runs on the first provider of the list. */
function readySlot(clock: FakeClock, executionProviders: readonly unknown[], quarantine = {}): ModelSlot {
  const config = modelsConfigSchema.parse({ executionProviders, quarantine });
  const deps = testDeps(clock);
  const slot = new ModelSlot(
    { name: 'm', version: 1 },
    { component: 'model/m@1', host: 'main', misfits: () => [], onMovedToServer: () => undefined, config, deps },
  );
  makeReady(slot, config.executionProviders[0]);
  return slot;
}

function makeReady(slot: ModelSlot, provider = modelsConfigSchema.parse({}).executionProviders[0]): void {
  const text = `{name: m, version: 1, task: anomaly, sha256: '${'0'.repeat(64)}', tags: [{name: t}], window: {steps: 1}, threshold: 1, golden: [{inputs: {window: [1]}, outputs: {}}]}`;
  const { manifest } = readManifest('model.yaml', text, { name: 'm', version: 1 });
  if (manifest === undefined || provider === undefined) throw new Error('the test model is not sound');
  const golden = { vectors: 1, largestDifference: 0, rowsStayApart: false };
  const loaded = { inputs: [], outputs: [], nodesByProvider: {}, golden, batching: 'none', loadMs: 1 } as const;
  const stored = { name: 'm', version: 1, modelPath: '', manifest, sha256: '', signedBy: undefined };
  // Only its identity is looked at.
  slot.becomeReady(stored, { loaded, provider, fallbacks: [] }, {} as HostProcess);
}

test('crashes that lie further apart than the period do not add up', async () => {
  const clock = new FakeClock();
  const slot = readySlot(clock, ['cpu'], { crashes: 2, period: '10m' });
  for (let crash = 0; crash < 5; crash += 1) {
    expect(slot.noteCrash('cpu', 'signal SIGSEGV')).toBe(false);
    await clock.advance(601_000);
  }
  expect(slot.noteCrash('cpu', 'signal SIGSEGV')).toBe(false);
  expect(slot.noteCrash('cpu', 'signal SIGSEGV')).toBe(true);
  expect(slot.status(undefined)).toMatchObject({
    state: 'quarantined',
    reason: expect.stringContaining('signal SIGSEGV'),
  });
});

test('a model whose host is on its way out is not called ready', () => {
  const slot = readySlot(new FakeClock(), ['cpu']);
  expect(slot.status(undefined)).toMatchObject({ state: 'loading', reason: 'the inference host is being replaced' });
});

test('a quarantined model that crashes at its next try is set aside at once', () => {
  const slot = readySlot(new FakeClock(), ['cpu'], { crashes: 3 });
  expect([1, 2, 3].map(() => slot.noteCrash('cpu', 'x'))).toEqual([false, false, true]);
  slot.retry();
  expect(slot.noteCrash('cpu', 'x')).toBe(true);
});

test('each GPU of the list is given up by itself before the model is set aside', () => {
  const slot = readySlot(new FakeClock(), ['cuda', 'webgpu', 'cpu'], { crashes: 3 });
  const crashes = ['cuda', 'cuda', 'webgpu', 'webgpu', 'cpu', 'cpu', 'cpu'];
  expect(crashes.map((provider) => slot.noteCrash(provider, 'x'))).toEqual([...Array(6).fill(false), true]);
  expect([...slot.givenUp.keys()]).toEqual(['cuda', 'webgpu']);
});

test('the last provider of the list is never given up', () => {
  const slot = readySlot(new FakeClock(), ['webgpu'], { crashes: 3 });
  expect([1, 2, 3].map(() => slot.noteCrash('webgpu', 'x'))).toEqual([false, false, true]);
  expect(slot.givenUp.size).toBe(0);
});

test('runs that fail one after another look like a lost device on a GPU, and like a bad model on the CPU', () => {
  const gpu = readySlot(new FakeClock(), ['webgpu', 'cpu']);
  expect([false, false, true, false, false, false].map((succeeded) => gpu.noteRun(succeeded))).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
  const cpu = readySlot(new FakeClock(), ['cpu']);
  expect([1, 2, 3, 4].some(() => cpu.noteRun(false))).toBe(false);
});
