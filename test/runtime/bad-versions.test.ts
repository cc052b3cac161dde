import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inferenceHostPid } from '../support/crash-children.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { meanOf4x2, until } from '../support/onnx-host-harness.ts';
import { loopModel, rootModel } from '../support/onnx-models.ts';

/*
 * Invariant: for any fault of a version, the active version stays active, no file of the bad one is left in
 * the model directory, and both the caller and the log get the reason.
 */
const pump = (version: number): TestModel => ({ ...meanOf4x2, name: 'pump', version });
const at = (version: number) => ({ name: 'pump', version });
const me = 'cli:tester';
const root: TestModel = { name: 'pump', bytes: rootModel(), steps: 1, tags: 1, golden: [{ window: [-1], score: 1 }] };
const loop: TestModel = { name: 'pump', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };

/** Takes some 40 ms of CPU time a run, 4 times its deadline. A run of `loop` takes less than a tenth of the deadline. */
const slow: TestModel = { ...loop, golden: [{ window: [1e5], score: 1e5 }] };
const limits = { pump: { deadline: '10ms' } };

describe('a bad version never displaces a good one, and says why', () => {
  test.each<readonly [string, TestModel, string, RegExp]>([
    ['gives NaN', root, 'model-output-invalid', /'score' has NaN/],
    [
      'gives another score than it should',
      { ...meanOf4x2, golden: [{ window: [1, 1, 1, 1, 1, 1, 1, 1], score: 2 }] },
      'model-golden-mismatch',
      /gives 1 at 0 of 'score', expected 2/,
    ],
    [
      'is not the graph that its hash says',
      { ...pump(2), manifest: { sha256: 'b'.repeat(64) } },
      'model-file-invalid',
      /^pump\/2\/model\.onnx has SHA-256/,
    ],
    [
      'is not a graph',
      { ...meanOf4x2, bytes: Buffer.from('garbage'.repeat(99)) },
      'model-file-invalid',
      /is not an ONNX model/,
    ],
    [
      'has another shape than it says',
      { ...meanOf4x2, steps: 5, golden: [{ window: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], score: 1 }] },
      'model-load-failed',
      /\[\?, 4, 2\]/,
    ],
    ['does not end', { ...loop, golden: [{ window: [1e9], score: 1 }] }, 'inference-timeout', /within 3000 ms/],
  ])('one that %s', async (_, bad, code, reason) => {
    await using harness = new RegistryHarness({ config: { loadDeadline: '10m' } });
    await harness.install(pump(1), { activate: true });
    await using hasty = harness.open({ loadDeadline: '3s' });
    const registry = code === 'inference-timeout' ? hasty : harness.registry;
    const refused = harness.install({ ...bad, name: 'pump', version: 2 }, { activate: true }, registry);
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(reason) as string });
    expect(harness.pointer('pump', 'active')).toBe(1);
    expect(harness.versions('pump')).toEqual(['1']);
    expect(harness.staged()).toEqual([]);
    const last = (await harness.audit()).at(-1);
    expect(last).toMatchObject({ action: 'install', version: 2, outcome: 'refused', detail: { code } });
    expect(last?.detail['reason']).toMatch(reason);
  });

  test('one that takes longer than its deadline, with the figures', async () => {
    await using harness = new RegistryHarness({ config: { limits } });
    await harness.install({ ...loop, version: 1 }, { activate: true });
    await expect(harness.install({ ...slow, version: 2 })).rejects.toMatchObject({
      code: 'model-too-slow',
      message: expect.stringMatching(/^Of \d+ runs of one row, .* the deadline is 10 ms$/) as string,
    });
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('but a rollback is never refused for the latency of the version before', async () => {
    await using harness = new RegistryHarness();
    await harness.install({ ...slow, version: 1 }, { activate: true });
    await harness.install({ ...loop, version: 2 }, { activate: true });
    await using hasty = harness.open({ limits });
    await expect(hasty.activate(at(1), me)).rejects.toMatchObject({ code: 'model-too-slow' });
    expect((await hasty.rollback('pump', me)).proof.latency?.p50Ms).toBeGreaterThan(10);
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('one that takes its host down', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1), { activate: true });
    const refused = harness.install({ ...loop, version: 2, golden: [{ window: [1e9], score: 1 }] });
    const settled = Promise.allSettled([refused]);
    await until(
      () => inferenceHostPid(process.pid) !== undefined,
      () => 'the host that proves the version',
    );
    process.kill(inferenceHostPid(process.pid) ?? 0, 'SIGSEGV');
    expect(await settled).toMatchObject([
      { reason: { code: 'host-crashed', message: expect.stringMatching(/SIGSEGV/) as string } },
    ]);
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('one that went bad on the disk since it was installed', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1), { activate: true });
    await harness.install(pump(2));
    writeFileSync(join(harness.models, 'pump/2/model.onnx'), 'damaged');
    await expect(harness.registry.activate(at(2), me)).rejects.toMatchObject({ code: 'model-file-invalid' });
    expect(harness.pointer('pump', 'active')).toBe(1);
    expect(await harness.operations()).toContain('activate pump@2 refused');
  });

  test('one whose columns are not what a watch gives', async () => {
    const incompatibility = "watch 'pump-1': 3 tags, but pump@2 has 2 columns";
    await using harness = new RegistryHarness({
      incompatibilities: ({ version }) => (version === 2 ? [incompatibility] : []),
    });
    await harness.install(pump(1), { activate: true });
    await harness.install(pump(2));
    await expect(harness.registry.activate(at(2), me)).rejects.toMatchObject({
      code: 'model-watch-incompatible',
      message: incompatibility,
    });
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('a rollback to one that went bad', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1), { activate: true });
    await harness.install(pump(2), { activate: true });
    rmSync(join(harness.models, 'pump/1/model.yaml'));
    await expect(harness.registry.rollback('pump', me)).rejects.toMatchObject({ code: 'model-file-invalid' });
    expect(harness.pointer('pump', 'active')).toBe(2);
  });
});
