import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeModel } from '../../src/training/report/model-writer.ts';
import { inferenceHostPid } from '../support/crash-children.ts';
import { writeRejection } from '../../src/registry/operations/rejected-versions.ts';
import { RegistryHarness } from '../support/registry-harness.ts';
import { packageArchive, writePackage } from '../support/model-packages.ts';
import type { TestModel } from '../support/onnx-directory.ts';
import { meanOf4x2, until } from '../support/onnx-host-harness.ts';
import { loopModel, meanModel } from '../support/onnx-models.ts';
import { TestKey } from '../support/signing-keys.ts';
import { metricValue } from '../support/test-deps.ts';
import { latencyRuns } from '../support/latency-runs.ts';

/*
 * Invariants: the active version was proved, for any order of concurrent operations; and each operation, also a refused
 * one, is one record of an audit log with an intact chain.
 */
const pump = (version: number): TestModel => ({ ...meanOf4x2, name: 'pump', version });
const at = (version: number) => ({ name: 'pump', version });
const me = 'cli:tester';

describe('installing', () => {
  test('adds a proved version and activates nothing', async () => {
    await using harness = new RegistryHarness();
    const installed = await harness.install(pump(1));
    expect(installed).toMatchObject({
      name: 'pump',
      version: 1,
      fresh: true,
      proof: {
        provider: 'cpu',
        golden: { vectors: 2 },
        latency: { warmUpRuns: 3, runs: latencyRuns, deadlineMs: 1000 },
      },
    });
    expect(harness.versions('pump')).toEqual(['1']);
    expect(harness.pointer('pump', 'active')).toBeUndefined();
    expect(harness.staged()).toEqual([]);
    expect(await harness.audit()).toMatchObject([
      {
        actor: me,
        action: 'install',
        model: 'pump',
        version: 1,
        outcome: 'ok',
        detail: { provider: 'cpu', latency: { runs: latencyRuns } },
      },
    ]);
    expect(await metricValue(harness.deps, 'andon_model_acts_total{action="install",outcome="ok"}')).toBe(1);
  });

  test('accepts an archive, and activates it if requested', async () => {
    await using harness = new RegistryHarness();
    const bytes = packageArchive(pump(3));
    const installed = await harness.install(pump(3), {
      source: { kind: 'archive', bytes: inChunks(bytes) },
      activate: true,
    });
    expect(installed.activated).toMatchObject({ version: 3, previous: undefined });
    expect(harness.pointer('pump', 'active')).toBe(3);
    expect(await harness.operations()).toEqual(['install pump@3 ok', 'activate pump@3 ok']);
    expect(harness.activations).toBe(1);
  });

  test('of an installed version changes nothing and succeeds', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    expect(await harness.install(pump(1))).toMatchObject({ fresh: false, proof: undefined });
    expect(await harness.operations()).toEqual(['install pump@1 ok', 'install pump@1 ok']);
  });

  test.each([
    ['another graph', { ...pump(1), bytes: meanModel(4, 2, 1) }, /model\.onnx differs/],
    ['the same graph with another threshold', { ...pump(1), manifest: { threshold: 9 } }, /model\.yaml differs/],
  ])('never replaces a version by %s, and names the next free version', async (_, other, reason) => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await harness.install(pump(4));
    await expect(harness.install(other)).rejects.toMatchObject({
      code: 'model-version-taken',
      message: expect.stringMatching(reason) as string,
    });
    await expect(harness.install(other)).rejects.toThrow(/next free version is 5/);
  });

  test('of a folder includes the report of its training and lists the skipped entries', async () => {
    await using harness = new RegistryHarness();
    const folder = writePackage(join(harness.path, 'trained'), pump(1));
    writeFileSync(join(folder, 'report.md'), '# report');
    writeFileSync(join(folder, '.editor-state'), '');
    mkdirSync(join(folder, 'notes'));
    const installed = await harness.install(pump(1), { source: { kind: 'folder', path: folder } });
    expect(installed.leftOut).toEqual(['.editor-state', 'notes']);
    expect(readFileSync(join(harness.models, 'pump/1/report.md'), 'utf8')).toBe('# report');
  });

  test('of a signed folder requires all files that the signature covers', async () => {
    const key = new TestKey();
    const config = { trust: key.trust };
    await using trusting = new RegistryHarness({ config });
    const folder = writePackage(join(trusting.path, 'trained'), pump(1));
    writeFileSync(join(folder, 'report.md'), '# report');
    const request = { source: { kind: 'folder', path: folder } } as const;
    await expect(trusting.install(pump(1), request)).rejects.toMatchObject({ code: 'model-untrusted' });
    await key.sign(folder);
    expect(await trusting.install(pump(1), request)).toMatchObject({ fresh: true });
    rmSync(join(folder, 'report.md'));
    await using other = new RegistryHarness({ config });
    await expect(other.install(pump(1), request)).rejects.toMatchObject({ code: 'model-untrusted' });
  });

  test('of a folder does not follow links', async () => {
    await using harness = new RegistryHarness();
    const folder = writePackage(join(harness.path, 'linked'), pump(1));
    rmSync(join(folder, 'model.onnx'));
    symlinkSync('/etc/hostname', join(folder, 'model.onnx'));
    await expect(harness.install(pump(1), { source: { kind: 'folder', path: folder } })).rejects.toMatchObject({
      code: 'model-package-invalid',
      message: expect.stringMatching(/model\.onnx: it is not a plain file/) as string,
    });
  });

  test('refuses an archive with another SHA-256 before it is unpacked', async () => {
    await using harness = new RegistryHarness();
    const source = { kind: 'archive', bytes: inChunks(packageArchive(pump(1))) } as const;
    await expect(harness.install(pump(1), { source, sha256: 'a'.repeat(64) })).rejects.toThrow(/expected aaaa/);
    expect(await harness.operations()).toEqual(['install  refused']);
  });

  test('is limited by models.maxModelSize', async () => {
    await using harness = new RegistryHarness({ config: { maxModelSize: '100B' } });
    await expect(harness.install(pump(1))).rejects.toMatchObject({ code: 'model-package-too-large' });
    expect(harness.staged()).toEqual([]);
  });

  test.each([
    ['no file at all', [], /has no model\.yaml/],
    ['an invalid model.yaml', ['model.yaml'], /model\.yaml:1:1/],
  ])('of a folder with %s is refused', async (_, broken, reason) => {
    await using harness = new RegistryHarness();
    const folder = join(harness.path, 'broken');
    if (broken.length === 0) mkdirSync(folder);
    else writeFileSync(join(writePackage(folder, pump(1)), 'model.yaml'), 'nothing: here');
    await expect(harness.install(pump(1), { source: { kind: 'folder', path: folder } })).rejects.toMatchObject({
      code: 'model-package-invalid',
      message: expect.stringMatching(reason) as string,
    });
  });

  test('of a fifth package at the same time is refused with retry', async () => {
    await using harness = new RegistryHarness();
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map((version) => harness.install(pump(version))));
    expect(results.slice(0, 4).map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
    expect(results[4]).toMatchObject({ reason: { code: 'models-busy', disposition: 'retry' } });
  });
});

test('the latency of a graph without golden vectors is measured on zeros', async () => {
  await using harness = new RegistryHarness();
  const graph = {
    ...pump(1),
    golden: [],
    manifest: { task: 'other', tags: undefined, window: undefined, threshold: undefined },
  };
  expect((await harness.install(graph)).proof).toMatchObject({
    golden: { vectors: 0 },
    latency: { runs: latencyRuns },
  });
});

describe('activation', () => {
  test('and rollback change the active and the previous version', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version));
    expect(await harness.registry.activate(at(1), me)).toMatchObject({ previous: undefined });
    expect(await harness.registry.activate(at(2), me)).toMatchObject({ previous: 1 });
    expect(await harness.registry.rollback('pump', me)).toMatchObject({ version: 1, previous: 2 });
    expect(harness.pointer('pump', 'previous')).toBe(2);
    expect((await harness.operations()).slice(2)).toEqual([
      'activate pump@1 ok',
      'activate pump@2 ok',
      'rollback pump@1 ok',
    ]);
    expect(harness.activations).toBe(3);
  });

  test.each([
    ['an unknown model', { name: 'pimp', version: 1 }, /no model 'pimp'/],
    ['an unknown version', at(9), /has versions 1, not 9/],
    ['a name with a path', { name: '../models', version: 1 }, /no model/],
  ])('of %s is refused', async (_, model, reason) => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await expect(harness.registry.activate(model, me)).rejects.toMatchObject({
      code: 'model-version-unknown',
      message: expect.stringMatching(reason) as string,
    });
  });

  test('a rollback after an automatic rollback does not activate the rejected version', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await writeRejection(harness.models, 'pump', { version: 2, reason: 'it crashed', timestampMs: 0 });
    await harness.registry.rollbackFrom(at(2), 'it crashed');
    await expect(harness.registry.rollback('pump', me)).rejects.toMatchObject({
      code: 'model-rollback-refused',
      message: expect.stringMatching(/pump@2.*it crashed.*andon models activate pump@2/) as string,
    });
    expect(harness.pointer('pump', 'active')).toBe(1);
    expect(await harness.registry.activate(at(2), me)).toMatchObject({ version: 2 });
  });

  test('a rollback without a previous version is refused', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1), { activate: true });
    await expect(harness.registry.rollback('pump', me)).rejects.toMatchObject({ code: 'model-no-previous' });
    await expect(harness.registry.rollback('pimp', me)).rejects.toMatchObject({ code: 'model-version-unknown' });
  });
});

describe('a pin', () => {
  test('blocks activation and rollback until it is removed', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await harness.registry.pin(at(2), me);
    await expect(harness.registry.activate(at(1), me)).rejects.toMatchObject({ code: 'model-pinned' });
    await expect(harness.registry.rollback('pump', 'agent')).rejects.toMatchObject({ code: 'model-pinned' });
    await expect(harness.install(pump(3), { activate: true })).rejects.toMatchObject({
      code: 'model-pinned',
      message: expect.stringMatching(/^pump@3 is installed, but not active: pump@2 is pinned/) as string,
    });
    expect(harness.versions('pump')).toEqual(['1', '2', '3']);
    expect(await harness.registry.unpin('pump', me)).toBe(2);
    expect(await harness.registry.unpin('pump', me)).toBeUndefined();
    await harness.registry.rollback('pump', me);
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('is possible for the active version only', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await expect(harness.registry.pin(at(1), me)).rejects.toThrow(/only the active version can\. No version is active/);
    await harness.install(pump(2), { activate: true });
    await expect(harness.registry.pin(at(1), me)).rejects.toMatchObject({ code: 'model-version-not-active' });
  });

  test('that cannot be read blocks every change, and can be removed', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    writeFileSync(join(harness.models, 'pump/pinned'), 'no number');
    await expect(harness.registry.rollback('pump', me)).rejects.toThrow(/pinned holds 'no number'/);
    await harness.registry.unpin('pump', me);
    await harness.registry.rollback('pump', me);
  });
});

describe('removing', () => {
  test('deletes an unused version', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2, 3]) await harness.install(pump(version), { activate: true });
    await harness.registry.remove(at(1), { force: false }, me);
    expect(harness.versions('pump')).toEqual(['2', '3']);
    expect(harness.staged()).toEqual([]);
    expect((await harness.operations()).at(-1)).toBe('remove pump@1 ok');
  });

  test('refuses the active version and those in use, also with force', async () => {
    await using harness = new RegistryHarness({
      inUse: () => Promise.resolve([{ ...at(1), by: "watch 'a' names it" }]),
    });
    for (const version of [1, 2, 3]) await harness.install(pump(version), { activate: true });
    await expect(harness.registry.remove(at(3), { force: true }, me)).rejects.toThrow(/is active/);
    await expect(harness.registry.remove(at(1), { force: true }, me)).rejects.toThrow(/in use: watch 'a' names it/);
    await expect(harness.registry.remove(at(9), { force: true }, me)).rejects.toThrow(/not 9/);
    await harness.registry.pin(at(3), me);
    writeFileSync(join(harness.models, 'pump/active'), '2\n');
    await expect(harness.registry.remove(at(3), { force: true }, me)).rejects.toMatchObject({ code: 'model-pinned' });
    expect(harness.versions('pump')).toEqual(['1', '2', '3']);
  });

  test('of the previous version needs force, and no rollback is possible afterwards', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await expect(harness.registry.remove(at(1), { force: false }, me)).rejects.toThrow(/--force/);
    await harness.registry.remove(at(1), { force: true }, me);
    await expect(harness.registry.rollback('pump', me)).rejects.toMatchObject({ code: 'model-no-previous' });
  });
});

describe('concurrent operations', () => {
  test('of two processes run one at a time, and each is logged in an intact chain', async () => {
    await using harness = new RegistryHarness();
    const other = harness.open();
    for (const version of [1, 2, 3]) await harness.install(pump(version));
    await harness.registry.activate(at(3), me);
    const operations = [
      harness.registry.activate(at(1), me),
      other.activate(at(2), me),
      other.pin(at(3), me),
      harness.registry.unpin('pump', me),
      other.remove(at(1), { force: false }, me),
      harness.registry.rollback('pump', me),
    ];
    const results = await Promise.allSettled(operations);
    const lines = (await harness.operations()).slice(4);
    expect(lines).toHaveLength(operations.length);
    expect(lines.filter((line) => line.endsWith('ok'))).toHaveLength(
      results.filter(({ status }) => status === 'fulfilled').length,
    );
    expect(harness.versions('pump')).toContain(String(harness.pointer('pump', 'active')));
    await other[Symbol.asyncDispose]();
  });

  test('an install does not replace a version that a training writes at the same time', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    const installing = harness.install(pump(2));
    const draft = { graph: Uint8Array.of(1), manifest: { task: 'anomaly' } } as unknown as Parameters<
      typeof writeModel
    >[2];
    expect(await writeModel(harness.models, 'pump', draft)).toBe(2);
    await expect(installing).rejects.toMatchObject({ code: 'model-version-taken' });
    expect(readFileSync(join(harness.models, 'pump/2/model.onnx'))).toHaveLength(1);
  });

  test('a proof that the stop of the agent cancels changes nothing, and its host ends', async () => {
    await using harness = new RegistryHarness();
    const installing = harness.install({
      ...pump(1),
      bytes: loopModel(),
      steps: 1,
      tags: 1,
      golden: [{ window: [1e9], score: 1 }],
    });
    const settled = Promise.allSettled([installing]);
    await until(
      () => inferenceHostPid(process.pid) !== undefined,
      () => 'the host that proves the version',
    );
    await harness.registry[Symbol.asyncDispose]();
    expect(await settled).toMatchObject([{ reason: { code: 'models-busy', disposition: 'retry' } }]);
    expect(inferenceHostPid(process.pid)).toBeUndefined();
    expect(harness.staged()).toEqual([]);
    await expect(harness.registry.activate(at(1), me)).rejects.toThrow(/stopping/);
  });
});

test('the error of a directory that cannot be written contains its path', async () => {
  await using harness = new RegistryHarness();
  writeFileSync(harness.models, 'a file where the folder should be');
  await expect(harness.install(pump(1))).rejects.toMatchObject({
    code: 'model-directory-unusable',
    disposition: 'retry',
    message: expect.stringContaining(harness.models) as string,
  });
});

async function* inChunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let begin = 0; begin < bytes.length; begin += 100) yield bytes.subarray(begin, begin + 100);
}
