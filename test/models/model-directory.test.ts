import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readManifest } from '../../src/models/store/manifest-file.ts';
import { ModelDirectory } from '../../src/models/store/model-directory.ts';
import { buildOnnx } from '../support/onnx-builder.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanOf4x2, model } from '../support/onnx-host-harness.ts';

const limits = { modelBytesMax: 1_000_000, trusted: undefined };

describe('the model directory', () => {
  test('lists models and their versions in order, and which one is active', async () => {
    using files = new TestModelDirectory([meanOf4x2, { ...meanOf4x2, name: 'alpha' }]);
    for (const version of [10, 2]) files.add({ ...meanOf4x2, version });
    mkdirSync(join(files.path, '.hidden'));
    mkdirSync(join(files.path, 'mean', 'draft'));
    const directory = new ModelDirectory(files.path, limits);
    expect(await directory.names()).toEqual(['alpha', 'mean']);
    expect(await directory.versions('mean')).toEqual([1, 2, 10]);
    expect(await directory.activeVersion('mean')).toBe(2);
    expect(await directory.find(model('mean'))).toMatchObject({ version: 2, manifest: { version: 2 } });
    expect(await directory.find(model('mean@10'))).toMatchObject({ version: 10 });
  });

  test('is empty if it does not exist', async () => {
    const directory = new ModelDirectory('/nonexistent/models', limits);
    expect(await directory.names()).toEqual([]);
    expect(await directory.versions('mean')).toEqual([]);
  });

  test('a sound model has no problems', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    expect(await new ModelDirectory(files.path, limits).check(model('mean@1'))).toEqual([]);
  });

  test('says what to do if no version is active', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    rmSync(join(files.path, 'mean', 'active'));
    await expect(new ModelDirectory(files.path, limits).find(model('mean'))).rejects.toMatchObject({
      code: 'model-absent',
      message: expect.stringContaining('andon models activate mean@1'),
    });
  });

  test.each(['../mean', 'a/b', '..', ''])("a model is not called '%s'", async (name) => {
    using files = new TestModelDirectory([meanOf4x2]);
    const directory = new ModelDirectory(join(files.path, 'mean'), limits);
    await expect(directory.find({ name, version: 1 })).rejects.toMatchObject({ code: 'model-file-invalid' });
    expect(await directory.versions(name)).toEqual([]);
  });
});

describe('every problem of a model.yaml has its line', () => {
  test.each([
    ['a key that is not known', 'threshold: 1', 'thresold: 1', 'threshold: 1', 'thresold'],
    ['a name that is not the folder', 'name: mean', 'name: other', 'name: other', "but the folder is 'mean'"],
    ['a version that is not the folder', 'version: 1', 'version: 2', 'version: 2', 'but the folder is 1'],
    ['a wrong type', 'steps: 4', 'steps: four', 'steps: four', 'number'],
  ])('%s', async (_, from, to, line, message) => {
    using files = new TestModelDirectory([meanOf4x2]);
    const path = join(files.path, 'mean', '1', 'model.yaml');
    const text = readFileSync(path, 'utf8').replace(from, to);
    writeFileSync(path, from.startsWith('threshold') ? `threshold: 1\n${text}` : text);
    const lines = readFileSync(path, 'utf8').split('\n');
    const wanted = lines.findIndex((candidate) => candidate.includes(from === 'threshold: 1' ? to : line)) + 1;
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems.map((problem) => [problem.file, problem.line])).toContainEqual([path, wanted]);
    expect(problems.map((problem) => `${problem.path} ${problem.message}`).join('\n')).toContain(message);
  });

  test('a golden vector of the wrong length', async () => {
    using files = new TestModelDirectory([{ ...meanOf4x2, golden: [{ window: [1, 2], score: 1 }] }]);
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems).toMatchObject([
      { path: 'golden.0.inputs', message: expect.stringContaining('has 2 values, expected 8') },
    ]);
    expect(problems[0]?.line).toBeGreaterThan(10);
  });

  test('broken YAML, and an alias bomb', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    const path = join(files.path, 'mean', '1', 'model.yaml');
    writeFileSync(path, 'name: mean\nversion: [1\n');
    const directory = new ModelDirectory(files.path, limits);
    expect((await directory.check(model('mean@1')))[0]).toMatchObject({ file: path });
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1) bomb.push(`a${level}: &a${level} [${`*a${level - 1}, `.repeat(9)}]`);
    writeFileSync(path, bomb.join('\n'));
    expect((await directory.check(model('mean@1')))[0]).toMatchObject({
      file: path,
      message: expect.stringContaining('alias'),
    });
  });
});

describe('a long model.yaml', () => {
  const pathIn = (files: TestModelDirectory) => join(files.path, 'mean', '1', 'model.yaml');

  test('is read in another process, and the thread that scans continues meanwhile', async () => {
    const golden = Array.from({ length: 20_000 }, () => ({ window: [1, 2, 3, 4, 5, 6, 7, 8], score: 4.5 }));
    using files = new TestModelDirectory([{ ...meanOf4x2, golden }]);
    expect(readFileSync(pathIn(files)).length).toBeGreaterThan(1_000_000);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 5);
    const { manifest } = await new ModelDirectory(files.path, limits).find(model('mean@1'));
    clearInterval(timer);
    expect(manifest.golden).toHaveLength(20_000);
    expect(manifest).toMatchObject({ name: 'mean', threshold: 1 });
    expect(turns).toBeGreaterThan(20);
  });

  test('with thousands of problems reports 100 of them, soon', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    const keys = Array.from({ length: 100_000 }, (_, index) => `key-${index}: 1`);
    writeFileSync(pathIn(files), [readFileSync(pathIn(files), 'utf8').trimEnd(), ...keys].join('\n'));
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems).toHaveLength(100);
    expect(problems[0]).toMatchObject({ path: 'key-0', message: 'is not a key of model.yaml' });
  });

  test.each([
    ['treshold', "did you mean 'threshold'?"],
    ['steps', "did you mean 'steps' at another place?"],
  ])('with the key %s says what was meant', async (key, hint) => {
    using files = new TestModelDirectory([meanOf4x2]);
    writeFileSync(pathIn(files), `${readFileSync(pathIn(files), 'utf8').trimEnd()}\n${key}: 1\n`);
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems).toMatchObject([{ path: key, message: `is not a key of model.yaml: ${hint}` }]);
  });

  test('with too many invalid values is refused', () => {
    const text = `task: anomaly\ngolden: [{ inputs: {}, outputs: { score: [${'x, '.repeat(300_000)}] } }]`;
    expect(readManifest('model.yaml', text, undefined).problems).toMatchObject([
      { message: expect.stringContaining('too many invalid values') as string },
    ]);
  });

  test.each([
    ['what takes more memory than it may', '? '.repeat(500_000), 'could not be read within 120 s and 200 MB of memory'],
    ['a key twice', `${'# '.repeat(20_000)}\nname: mean\nname: mean`, 'duplicate key'],
  ])('with %s is refused with that', async (_, text, message) => {
    using files = new TestModelDirectory([meanOf4x2]);
    writeFileSync(pathIn(files), text);
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems).toMatchObject([{ file: pathIn(files), message: expect.stringContaining(message) as string }]);
  });
});

describe('a model file is refused', () => {
  test('that is not the one its manifest was written for', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    writeFileSync(join(files.path, 'mean', '1', 'model.onnx'), 'other');
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems[0]?.message).toContain('SHA-256');
  });

  test('that is larger than allowed, before it is read', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    truncateSync(join(files.path, 'mean', '1', 'model.onnx'), 1e12);
    const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
    expect(problems[0]?.message).toContain('1000.0 GB, more than the 1.0 MB allowed');
  });

  test('that leads out of the directory', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    using elsewhere = new TestModelDirectory([meanOf4x2]);
    const path = join(files.path, 'mean', '1', 'model.onnx');
    rmSync(path);
    symlinkSync(join(elsewhere.path, 'mean', '1', 'model.onnx'), path);
    const directory = new ModelDirectory(files.path, limits);
    expect((await directory.check(model('mean@1')))[0]?.message).toContain('outside');
    rmSync(join(files.path, 'mean', '1'), { recursive: true });
    symlinkSync(join(elsewhere.path, 'mean', '1'), join(files.path, 'mean', '1'));
    expect((await directory.check(model('mean@1')))[0]?.message).toContain('outside');
  });

  test('that is a folder or missing', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    const path = join(files.path, 'mean', '1', 'model.onnx');
    rmSync(path);
    const directory = new ModelDirectory(files.path, limits);
    expect((await directory.check(model('mean@1')))[0]?.message).toContain('is missing');
    mkdirSync(path);
    expect((await directory.check(model('mean@1')))[0]?.message).toContain('not a plain file');
  });

  test.each(['weights.bin', '../../../etc/passwd', '/etc/passwd'])(
    'that takes its weights from %s',
    async (location) => {
      const weight = { name: 'w', type: 'float32', dims: [1], data: [], externalLocation: location } as const;
      const body = {
        inputs: [],
        outputs: [{ name: 'w', type: 'float32', dims: [1] }],
        initializers: [weight],
        nodes: [],
      } as const;
      const graphs = [
        { inputs: [], outputs: [], initializers: [weight], nodes: [] },
        // In a branch of an `If`, where a look at the graph's own initializers finds nothing.
        {
          inputs: [],
          outputs: [],
          nodes: [{ op: 'If', inputs: ['c'], outputs: ['o'], attributes: { then_branch: body } }],
        },
      ];
      for (const graph of graphs) {
        using files = new TestModelDirectory([{ ...meanOf4x2, bytes: buildOnnx(graph) }]);
        const problems = await new ModelDirectory(files.path, limits).check(model('mean@1'));
        expect(problems[0]?.message).toMatch(/takes values from other files \(tensors w\)\. .*external_data=False/);
      }
    },
  );

  test('a hard link is read like any file: what counts is its hash', async () => {
    using files = new TestModelDirectory([meanOf4x2]);
    const path = join(files.path, 'mean', '1', 'model.onnx');
    linkSync(path, join(files.path, 'copy'));
    expect(await new ModelDirectory(files.path, limits).check(model('mean@1'))).toEqual([]);
  });
});
