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

/*
 * Invariant: what is active is a version that was proved, whatever is installed, activated or removed, by how many at
 * once; and every act, refused or not, is one line of a log whose chain holds.
 */
const pump = (version: number): TestModel => ({ ...meanOf4x2, name: 'pump', version });
const at = (version: number) => ({ name: 'pump', version });
const me = 'cli:tester';

describe('installing', () => {
  test('puts a proved version beside the others, and activates nothing', async () => {
    await using harness = new RegistryHarness();
    const installed = await harness.install(pump(1));
    expect(installed).toMatchObject({
      name: 'pump',
      version: 1,
      fresh: true,
      proof: { provider: 'cpu', golden: { vectors: 2 }, latency: { warmUpRuns: 3, runs: 100, deadlineMs: 1000 } },
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
        detail: { provider: 'cpu', latency: { runs: 100 } },
      },
    ]);
    expect(await metricValue(harness.deps, 'andon_model_acts_total{action="install",outcome="ok"}')).toBe(1);
  });

  test('takes an archive, and activates where that is asked', async () => {
    await using harness = new RegistryHarness();
    const bytes = packageArchive(pump(3));
    const installed = await harness.install(pump(3), {
      source: { kind: 'archive', bytes: inChunks(bytes) },
      activate: true,
    });
    expect(installed.activated).toMatchObject({ version: 3, previous: undefined });
    expect(harness.pointer('pump', 'active')).toBe(3);
    expect(await harness.acts()).toEqual(['install pump@3 ok', 'activate pump@3 ok']);
    expect(harness.activations).toBe(1);
  });

  test('of what is there already changes nothing, and is no fault', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    expect(await harness.install(pump(1))).toMatchObject({ fresh: false, proof: undefined });
    expect(await harness.acts()).toEqual(['install pump@1 ok', 'install pump@1 ok']);
  });

  test.each([
    ['another graph', { ...pump(1), bytes: meanModel(4, 2, 1) }, /model\.onnx differs/],
    ['the same graph with another threshold', { ...pump(1), manifest: { threshold: 9 } }, /model\.yaml differs/],
  ])('never replaces a version by %s, and names the next free one', async (_, other, reason) => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await harness.install(pump(4));
    await expect(harness.install(other)).rejects.toMatchObject({
      code: 'model-version-taken',
      message: expect.stringMatching(reason) as string,
    });
    await expect(harness.install(other)).rejects.toThrow(/next free version is 5/);
  });

  test('of a folder takes the report of its training along, and says what it left out', async () => {
    await using harness = new RegistryHarness();
    const folder = writePackage(join(harness.path, 'trained'), pump(1));
    writeFileSync(join(folder, 'report.md'), '# report');
    writeFileSync(join(folder, '.editor-state'), '');
    mkdirSync(join(folder, 'notes'));
    const installed = await harness.install(pump(1), { source: { kind: 'folder', path: folder } });
    expect(installed.leftOut).toEqual(['.editor-state', 'notes']);
    expect(readFileSync(join(harness.models, 'pump/1/report.md'), 'utf8')).toBe('# report');
  });

  test('of a signed folder keeps all that the signature covers', async () => {
    const key = new TestKey();
    const config = { trust: key.trust };
    await using trusting = new RegistryHarness({ config });
    const folder = writePackage(join(trusting.path, 'trained'), pump(1));
    writeFileSync(join(folder, 'report.md'), '# report');
    const order = { source: { kind: 'folder', path: folder } } as const;
    await expect(trusting.install(pump(1), order)).rejects.toMatchObject({ code: 'model-untrusted' });
    await key.sign(folder);
    expect(await trusting.install(pump(1), order)).toMatchObject({ fresh: true });
    rmSync(join(folder, 'report.md'));
    await using other = new RegistryHarness({ config });
    await expect(other.install(pump(1), order)).rejects.toMatchObject({ code: 'model-untrusted' });
  });

  test('of a folder follows no link', async () => {
    await using harness = new RegistryHarness();
    const folder = writePackage(join(harness.path, 'linked'), pump(1));
    rmSync(join(folder, 'model.onnx'));
    symlinkSync('/etc/hostname', join(folder, 'model.onnx'));
    await expect(harness.install(pump(1), { source: { kind: 'folder', path: folder } })).rejects.toMatchObject({
      code: 'model-package-invalid',
      message: expect.stringMatching(/model\.onnx is not a plain file/) as string,
    });
  });

  test('of an archive with another SHA-256 than was asked for reads nothing of it', async () => {
    await using harness = new RegistryHarness();
    const source = { kind: 'archive', bytes: inChunks(packageArchive(pump(1))) } as const;
    await expect(harness.install(pump(1), { source, sha256: 'a'.repeat(64) })).rejects.toThrow(/expected aaaa/);
    expect(await harness.acts()).toEqual(['install  refused']);
  });

  test('is bounded by models.maxModelSize', async () => {
    await using harness = new RegistryHarness({ config: { maxModelSize: '100B' } });
    await expect(harness.install(pump(1))).rejects.toMatchObject({ code: 'model-package-too-large' });
    expect(harness.staged()).toEqual([]);
  });

  test.each([
    ['no file at all', [], /has no model\.yaml/],
    ['a description that is none', ['model.yaml'], /model\.yaml:1:1/],
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

  test('two at once: one comes at a time, the other is told to try again', async () => {
    await using harness = new RegistryHarness();
    const results = await Promise.allSettled([harness.install(pump(1)), harness.install(pump(2))]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(results[1]).toMatchObject({ reason: { code: 'models-busy', disposition: 'retry' } });
  });
});

test('a graph without golden vectors is timed on zeros', async () => {
  await using harness = new RegistryHarness();
  const graph = {
    ...pump(1),
    golden: [],
    manifest: { task: 'other', tags: undefined, window: undefined, threshold: undefined },
  };
  expect((await harness.install(graph)).proof).toMatchObject({ golden: { vectors: 0 }, latency: { runs: 100 } });
});

describe('activation', () => {
  test('and rollback go through the versions and keep which was before', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version));
    expect(await harness.library.activate(at(1), me)).toMatchObject({ previous: undefined });
    expect(await harness.library.activate(at(2), me)).toMatchObject({ previous: 1 });
    expect(await harness.library.rollback('pump', me)).toMatchObject({ version: 1, previous: 2 });
    expect(harness.pointer('pump', 'previous')).toBe(2);
    expect((await harness.acts()).slice(2)).toEqual(['activate pump@1 ok', 'activate pump@2 ok', 'rollback pump@1 ok']);
    expect(harness.activations).toBe(3);
  });

  test.each([
    ['a model that is not there', { name: 'pimp', version: 1 }, /no model 'pimp'/],
    ['a version that is not there', at(9), /has versions 1, not 9/],
    ['a name that leads out', { name: '../models', version: 1 }, /no model/],
  ])('of %s is refused', async (_, model, reason) => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await expect(harness.library.activate(model, me)).rejects.toMatchObject({
      code: 'model-version-unknown',
      message: expect.stringMatching(reason) as string,
    });
  });

  test('a rollback does not go forth to what a rollout rejected, as an automatic one leaves it behind', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await writeRejection(harness.models, 'pump', { version: 2, reason: 'it crashed', timestampMs: 0 });
    await harness.library.rollbackFrom(at(2), 'it crashed');
    await expect(harness.library.rollback('pump', me)).rejects.toMatchObject({
      code: 'model-rollback-refused',
      message: expect.stringMatching(/pump@2.*it crashed.*andon models activate pump@2/) as string,
    });
    expect(harness.pointer('pump', 'active')).toBe(1);
    expect(await harness.library.activate(at(2), me)).toMatchObject({ version: 2 });
  });

  test('a rollback with nothing before is refused', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1), { activate: true });
    await expect(harness.library.rollback('pump', me)).rejects.toMatchObject({ code: 'model-no-previous' });
    await expect(harness.library.rollback('pimp', me)).rejects.toMatchObject({ code: 'model-version-unknown' });
  });
});

describe('a pin', () => {
  test('holds the active version against activation and rollback until it is taken away', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await harness.library.pin(at(2), me);
    await expect(harness.library.activate(at(1), me)).rejects.toMatchObject({ code: 'model-pinned' });
    await expect(harness.library.rollback('pump', 'agent')).rejects.toMatchObject({ code: 'model-pinned' });
    await expect(harness.install(pump(3), { activate: true })).rejects.toMatchObject({
      code: 'model-pinned',
      message: expect.stringMatching(/^pump@3 is installed, but not active: pump@2 is pinned/) as string,
    });
    expect(harness.versions('pump')).toEqual(['1', '2', '3']);
    expect(await harness.library.unpin('pump', me)).toBe(2);
    expect(await harness.library.unpin('pump', me)).toBeUndefined();
    await harness.library.rollback('pump', me);
    expect(harness.pointer('pump', 'active')).toBe(1);
  });

  test('is for the active version only', async () => {
    await using harness = new RegistryHarness();
    await harness.install(pump(1));
    await expect(harness.library.pin(at(1), me)).rejects.toThrow(/not active, none is/);
    await harness.install(pump(2), { activate: true });
    await expect(harness.library.pin(at(1), me)).rejects.toMatchObject({ code: 'model-version-not-active' });
  });

  test('that cannot be read holds everything fast, and can be taken away', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    writeFileSync(join(harness.models, 'pump/pinned'), 'no number');
    await expect(harness.library.rollback('pump', me)).rejects.toThrow(/pinned holds 'no number'/);
    await harness.library.unpin('pump', me);
    await harness.library.rollback('pump', me);
  });
});

describe('removing', () => {
  test('deletes a version that nobody needs', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2, 3]) await harness.install(pump(version), { activate: true });
    await harness.library.remove(at(1), { force: false }, me);
    expect(harness.versions('pump')).toEqual(['2', '3']);
    expect(harness.staged()).toEqual([]);
    expect((await harness.acts()).at(-1)).toBe('remove pump@1 ok');
  });

  test('never takes the active one, nor what a watch or the agent needs, not by force', async () => {
    await using harness = new RegistryHarness({
      inUse: () => Promise.resolve([{ ...at(1), by: "watch 'a' names it" }]),
    });
    for (const version of [1, 2, 3]) await harness.install(pump(version), { activate: true });
    await expect(harness.library.remove(at(3), { force: true }, me)).rejects.toThrow(/is active/);
    await expect(harness.library.remove(at(1), { force: true }, me)).rejects.toThrow(/in use: watch 'a' names it/);
    await expect(harness.library.remove(at(9), { force: true }, me)).rejects.toThrow(/not 9/);
    await harness.library.pin(at(3), me);
    writeFileSync(join(harness.models, 'pump/active'), '2\n');
    await expect(harness.library.remove(at(3), { force: true }, me)).rejects.toMatchObject({ code: 'model-pinned' });
    expect(harness.versions('pump')).toEqual(['1', '2', '3']);
  });

  test('takes the one that a rollback would go back to only by force, and then there is no rollback', async () => {
    await using harness = new RegistryHarness();
    for (const version of [1, 2]) await harness.install(pump(version), { activate: true });
    await expect(harness.library.remove(at(1), { force: false }, me)).rejects.toThrow(/by force/);
    await harness.library.remove(at(1), { force: true }, me);
    await expect(harness.library.rollback('pump', me)).rejects.toMatchObject({ code: 'model-no-previous' });
  });
});

describe('many at once', () => {
  test('acts of two processes on one directory: one at a time, each in the log, and the chain holds', async () => {
    await using harness = new RegistryHarness();
    const other = harness.open();
    for (const version of [1, 2, 3]) await harness.install(pump(version));
    await harness.library.activate(at(3), me);
    const acts = [
      harness.library.activate(at(1), me),
      other.activate(at(2), me),
      other.pin(at(3), me),
      harness.library.unpin('pump', me),
      other.remove(at(1), { force: false }, me),
      harness.library.rollback('pump', me),
    ];
    const results = await Promise.allSettled(acts);
    const lines = (await harness.acts()).slice(4);
    expect(lines).toHaveLength(acts.length);
    expect(lines.filter((line) => line.endsWith('ok'))).toHaveLength(
      results.filter(({ status }) => status === 'fulfilled').length,
    );
    expect(harness.versions('pump')).toContain(String(harness.pointer('pump', 'active')));
    await other[Symbol.asyncDispose]();
  });

  test('an install that meets a training of the same version leaves that one alone', async () => {
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

  test('a proof that the stop of the agent cuts short changes nothing, and its host ends', async () => {
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
    await harness.library[Symbol.asyncDispose]();
    expect(await settled).toMatchObject([{ reason: { code: 'models-busy', disposition: 'retry' } }]);
    expect(inferenceHostPid(process.pid)).toBeUndefined();
    expect(harness.staged()).toEqual([]);
    await expect(harness.library.activate(at(1), me)).rejects.toThrow(/stopping/);
  });
});

test('a directory that cannot be written is told with its path', async () => {
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
