import { expect, test } from 'vitest';
import type { HostProcess } from '../../src/runtime/host/host-process.ts';
import { ModelSlot, slotVersion } from '../../src/runtime/host/model-slot.ts';
import { statusOf } from '../../src/runtime/host/model-status.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { readManifest } from '../../src/models/store/manifest-file.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testDeps } from '../support/test-deps.ts';

/** Notes a crash; returns whether the model is in quarantine. */
function crashes(slot: ModelSlot, provider: string, reason = 'x'): boolean {
  slot.noteCrash(provider, reason);
  return slot.state.run.kind === 'none' && slot.state.run.state === 'quarantined';
}

/** A slot whose model runs on the first provider of the list. */
function readySlot(clock: FakeClock, executionProviders: readonly unknown[], quarantine = {}): ModelSlot {
  const config = modelsConfigSchema.parse({ executionProviders, quarantine });
  const deps = testDeps(clock);
  const slot = new ModelSlot(
    { name: 'm', version: 1 },
    {
      component: 'model/m@1',
      host: 'main',
      incompatibilities: () => [],
      mayBeAbsent: false,
      onEffect: () => undefined,
      config,
      deps,
    },
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
  // Only the identity of the host matters.
  const session = { loaded, provider, fallbacks: [] };
  slot.apply({ kind: 'load-begun' });
  slot.apply({ kind: 'loaded', loaded: slotVersion(slot, stored, session, {} as HostProcess) });
}

test('crashes that lie further apart than the period do not add up', async () => {
  const clock = new FakeClock();
  const slot = readySlot(clock, ['cpu'], { crashes: 2, period: '10m' });
  for (let crash = 0; crash < 5; crash += 1) {
    expect(crashes(slot, 'cpu', 'signal SIGSEGV')).toBe(false);
    await clock.advance(601_000);
  }
  expect(crashes(slot, 'cpu', 'signal SIGSEGV')).toBe(false);
  expect(crashes(slot, 'cpu', 'signal SIGSEGV')).toBe(true);
  expect(statusOf(slot, undefined)).toMatchObject({
    state: 'quarantined',
    reason: expect.stringContaining('signal SIGSEGV'),
  });
});

test('a model whose host is on its way out is not called ready', () => {
  const slot = readySlot(new FakeClock(), ['cpu']);
  expect(statusOf(slot, undefined)).toMatchObject({ state: 'loading', reason: 'the inference host is being replaced' });
});

test('a quarantined model that crashes at its next attempt is quarantined again immediately', () => {
  const slot = readySlot(new FakeClock(), ['cpu'], { crashes: 3 });
  expect([1, 2, 3].map(() => crashes(slot, 'cpu'))).toEqual([false, false, true]);
  slot.apply({ kind: 'load-requested', isAwaited: false });
  expect(crashes(slot, 'cpu')).toBe(true);
});

test('each GPU of the list is given up on its own before the model is quarantined', () => {
  const slot = readySlot(new FakeClock(), ['cuda', 'webgpu', 'cpu'], { crashes: 3 });
  const providers = ['cuda', 'cuda', 'webgpu', 'webgpu', 'cpu', 'cpu', 'cpu'];
  expect(providers.map((provider) => crashes(slot, provider))).toEqual([...Array(6).fill(false), true]);
  expect([...slot.crashes.givenUp.keys()]).toEqual(['cuda', 'webgpu']);
});

test('the last provider of the list is never given up', () => {
  const slot = readySlot(new FakeClock(), ['webgpu'], { crashes: 3 });
  expect([1, 2, 3].map(() => crashes(slot, 'webgpu'))).toEqual([false, false, true]);
  expect(slot.crashes.givenUp.size).toBe(0);
});

/** Whether the host is to be replaced after this run. */
function looksLost(slot: ModelSlot, succeeded: boolean): boolean {
  return slot.apply({ kind: 'run-ended', succeeded }).some(({ kind }) => kind === 'replace-host');
}

test('runs that fail one after another look like a lost device on a GPU, and like a bad model on the CPU', () => {
  const gpu = readySlot(new FakeClock(), ['webgpu', 'cpu']);
  expect([false, false, true, false, false, false].map((succeeded) => looksLost(gpu, succeeded))).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
  const cpu = readySlot(new FakeClock(), ['cpu']);
  expect([1, 2, 3, 4].some(() => looksLost(cpu, false))).toBe(false);
});
