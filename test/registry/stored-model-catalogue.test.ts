import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { StoredModelCatalogue } from '../../src/registry/stored-model-catalogue.ts';
import { writeRejection } from '../../src/registry/operations/rejected-versions.ts';
import { writeActiveVersion, writePinnedVersion } from '../../src/registry/operations/version-pointers.ts';
import { type TestModel, TestModelDirectory } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';

const echo = (name: string, version = 1, manifest: TestModel['manifest'] = {}): TestModel => ({
  name,
  version,
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  manifest,
});

const catalogueOf = ({ path }: TestModelDirectory) =>
  new StoredModelCatalogue(modelsConfigSchema.parse({ directory: path }));

test('models are listed in pages, each with its active, previous, pinned and rejected version', async () => {
  using directory = new TestModelDirectory(['a', 'b', 'c'].map((name) => echo(name)));
  for (const version of [2, 3]) directory.add(echo('b', version));
  await writeActiveVersion(directory.path, 'b', 2);
  await writePinnedVersion(directory.path, 'b', 2);
  await writeRejection(directory.path, 'b', { version: 3, reason: 'NaN', timestampMs: 1000 });
  const catalogue = catalogueOf(directory);
  const first = await catalogue.models(undefined, 2);
  expect(first.more).toBe(true);
  expect(first.models[0]).toMatchObject({ name: 'a', versions: [1], active: 1, pinned: false });
  expect(first.models[1]).toMatchObject({
    name: 'b',
    versions: [1, 2, 3],
    active: 2,
    previous: 3,
    pinned: true,
    rejected: [{ version: 3, reason: 'NaN', timestampMs: 1000 }],
  });
  expect(await catalogue.models('b', 2)).toMatchObject({ more: false, models: [{ name: 'c' }] });
});

test('versions are listed in pages, the newest first, also one that cannot be used', async () => {
  using directory = new TestModelDirectory([echo('echo', 1), echo('echo', 2, { task: 'guess' }), echo('echo', 3)]);
  const catalogue = catalogueOf(directory);
  const { versions, more } = await catalogue.versions('echo', undefined, 2);
  expect(versions.map(({ version }) => version)).toEqual([3, 2]);
  expect(more).toBe(true);
  expect(versions[1]?.problem).toMatch(/task/);
  expect(await catalogue.versions('echo', 2, 2)).toMatchObject({ more: false, versions: [{ version: 1 }] });
  await expect(catalogue.versions('nothing', undefined, 2)).rejects.toMatchObject({ code: 'model-version-unknown' });
});

test('a version has its documents, an example for a run and no golden vectors, and is read again after a change', async () => {
  using directory = new TestModelDirectory([echo('echo', 1, { training: { algorithm: 'wpca' } })]);
  const folder = join(directory.path, 'echo/1');
  writeFileSync(join(folder, 'report.md'), '# Report');
  const catalogue = catalogueOf(directory);
  const model = { name: 'echo', version: 1 };
  const detail = await catalogue.version(model);
  expect(detail).toMatchObject({
    goldenVectors: 1,
    example: { window: [0.5] },
    signature: { state: 'unsigned' },
    documents: [{ file: 'report.md', bytes: 8 }],
    manifest: { golden: [], training: { algorithm: 'wpca' } },
  });
  expect(await catalogue.version(model)).toBe(detail);
  writeFileSync(join(folder, 'score.svg'), '<svg/>');
  expect((await catalogue.version(model)).documents.map(({ file }) => file)).toEqual(['report.md', 'score.svg']);
});

test('only documents are read: not the graph, no link, no other folder', async () => {
  using directory = new TestModelDirectory([echo('echo')]);
  const folder = join(directory.path, 'echo/1');
  writeFileSync(join(folder, 'report.md'), '# Report');
  writeFileSync(join(directory.path, 'secret.txt'), 'secret');
  symlinkSync('/etc/hostname', join(folder, 'link.txt'));
  const catalogue = catalogueOf(directory);
  const read = (file: string) => catalogue.document({ name: 'echo', version: 1 }, file);
  expect(Buffer.from(await read('report.md')).toString()).toBe('# Report');
  for (const file of ['model.onnx', 'model.yaml', 'link.txt', '../../secret.txt', 'nothing.md'])
    await expect(read(file)).rejects.toMatchObject({ code: 'model-document-unknown' });
  await expect(catalogue.document({ name: '../echo', version: 1 }, 'report.md')).rejects.toMatchObject({
    code: 'model-version-unknown',
  });
});
