import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelDirectory } from '../../../src/models/store/model-directory.ts';
import { errorCode } from '../../../src/platform/errors.ts';
import { TestModelDirectory } from '../../support/onnx-directory.ts';
import { meanOf4x2, model } from '../../support/onnx-host-harness.ts';
import { meanModel } from '../../support/onnx-models.ts';
import { keyKinds, TestKey } from '../../support/signing-keys.ts';

/*
 * Invariant: with keys to trust, a version is found only if one of them signed it as it now is, every byte of every
 * file. Each test takes a version that is signed and trusted, does one thing to it, and sees it refused.
 */
const key = new TestKey();

class SignedDirectory extends TestModelDirectory {
  readonly folder = join(this.path, 'mean', '1');

  static async make(signer: TestKey = key): Promise<SignedDirectory> {
    const files = new SignedDirectory([meanOf4x2]);
    writeFileSync(join(files.folder, 'report.md'), '# Good');
    await signer.sign(files.folder);
    return files;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  trusting(...keys: readonly TestKey[]): ModelDirectory {
    return new ModelDirectory(this.path, {
      modelBytesMax: 1_000_000,
      trusted: keys.flatMap(({ trusted }) => trusted),
    });
  }
}

const refusal = (says: RegExp) =>
  expect.objectContaining({ code: 'model-untrusted', disposition: 'reject', message: expect.stringMatching(says) });

test.each(keyKinds)('a version that a trusted key of %s signed is found, and says who signed it', async (kind) => {
  const signer = new TestKey(kind);
  using files = await SignedDirectory.make(signer);
  const found = await files.trusting(key, signer).find(model('mean'));
  expect(found).toMatchObject({ version: 1, signedBy: signer.id.slice(0, 16) });
  expect(await files.trusting(signer).check(model('mean@1'))).toEqual([]);
});

test('if no key is required, signed and unsigned versions are both found', async () => {
  using files = await SignedDirectory.make();
  const any = new ModelDirectory(files.path, { modelBytesMax: 1_000_000, trusted: undefined });
  expect(await any.find(model('mean'))).toMatchObject({ signedBy: undefined });
  rmSync(files.file('model.sig'));
  expect(await any.find(model('mean'))).toMatchObject({ version: 1 });
});

type Harm = readonly [what: string, harm: (files: SignedDirectory) => unknown, says: RegExp];

const harms: readonly Harm[] = [
  [
    'is not signed',
    (files) => rmSync(files.file('model.sig')),
    /^Model mean@1 is not signed.*andon models sign mean@1/,
  ],
  [
    'has another manifest',
    (files) => appendFileSync(files.file('model.yaml'), '\n'),
    /changed after.*: model\.yaml has/,
  ],
  ['has another report', (files) => appendFileSync(files.file('report.md'), '!'), /changed after.*: report\.md has/],
  ['has one more file', (files) => writeFileSync(files.file('more.txt'), ''), /has the file more\.txt.*did not sign/],
  ['has a hidden file', (files) => writeFileSync(files.file('.gitignore'), ''), /name '\.gitignore'/],
  ['lacks its graph', (files) => rmSync(files.file('model.onnx')), /lacks the file model\.onnx/],
  ['lacks its report', (files) => rmSync(files.file('report.md')), /lacks the file report\.md/],
  ['has a folder', (files) => mkdirSync(files.file('sub')), /'sub', which is not a plain file/],
  [
    'has a link for a report',
    (files) => {
      renameSync(files.file('report.md'), join(files.path, 'elsewhere'));
      symlinkSync(join(files.path, 'elsewhere'), files.file('report.md'));
    },
    /'report\.md', which is not a plain file/,
  ],
  [
    'has a link for a signature',
    (files) => {
      renameSync(files.file('model.sig'), join(files.path, 'elsewhere'));
      symlinkSync(join(files.path, 'elsewhere'), files.file('model.sig'));
    },
    /cannot be read at model\.sig/,
  ],
  ['has half a signature', (files) => writeFileSync(files.file('model.sig'), '{"mediaType":'), /bundle is not JSON/],
  ['has an empty signature', (files) => writeFileSync(files.file('model.sig'), ''), /bundle is not JSON/],
  ['has an endless signature', (files) => appendFileSync(files.file('model.sig'), ' '.repeat(64_000)), /more than 64/],
  [
    'has another report than allowed',
    (files) => writeFileSync(files.file('report.md'), 'x'.repeat(1_000_001)),
    /report/,
  ],
  [
    'names another key in its signature',
    (files) => {
      const text = readFileSync(files.file('model.sig'), 'utf8');
      writeFileSync(files.file('model.sig'), text.replace(key.id, new TestKey().id));
    },
    /signed by key [0-9a-f]{16}, which is not trusted \(trusted: [0-9a-f]{16}\)/,
  ],
];

test.each(harms)('a version that %s is refused', async (_, harm, says) => {
  using files = await SignedDirectory.make();
  expect(await files.trusting(key).find(model('mean'))).toMatchObject({ version: 1 });
  harm(files);
  await expect(files.trusting(key).find(model('mean'))).rejects.toEqual(refusal(says));
  expect(await files.trusting(key).check(model('mean@1'))).toMatchObject([{ message: expect.stringMatching(says) }]);
});

test('an untrusted model.yaml is not even parsed', async () => {
  using files = await SignedDirectory.make();
  writeFileSync(files.file('model.yaml'), 'name: [');
  await expect(files.trusting(key).find(model('mean'))).rejects.toEqual(refusal(/changed after/));
});

test('a graph that was exchanged is refused when it is read', async () => {
  using files = await SignedDirectory.make();
  writeFileSync(files.file('model.onnx'), meanModel(4, 3));
  const directory = files.trusting(key);
  const stored = await directory.find(model('mean'));
  await expect(directory.readModel(stored)).rejects.toMatchObject({ code: 'model-file-invalid' });
  expect(await directory.signature(model('mean'))).toMatchObject({
    state: 'refused',
    reason: expect.stringMatching(/model\.onnx has SHA-256/),
  });
});

describe('a signature by', () => {
  test('another key is refused, and the message names it and the trusted keys', async () => {
    const stranger = new TestKey();
    using files = await SignedDirectory.make(stranger);
    const says = new RegExp(`signed by key ${stranger.id.slice(0, 16)}.*trusted: ${key.id.slice(0, 16)}`);
    await expect(files.trusting(key).find(model('mean'))).rejects.toEqual(refusal(says));
  });

  test('another key with the id of the trusted one is refused', async () => {
    const stranger = new TestKey();
    using files = await SignedDirectory.make(stranger);
    const text = readFileSync(files.file('model.sig'), 'utf8');
    writeFileSync(files.file('model.sig'), text.replace(stranger.id, key.id));
    await expect(files.trusting(key).find(model('mean'))).rejects.toEqual(refusal(/was not made by this key/));
  });

  test('a key that is trusted no longer is refused, and its successor passes', async () => {
    const successor = new TestKey();
    using files = await SignedDirectory.make();
    expect(await files.trusting(key, successor).find(model('mean'))).toMatchObject({ version: 1 });
    await expect(files.trusting(successor).find(model('mean'))).rejects.toEqual(refusal(/not trusted/));
    await successor.sign(files.folder);
    expect(await files.trusting(successor).find(model('mean'))).toMatchObject({ version: 1 });
  });
});

describe('what a trusted key signed does not pass for anything else:', () => {
  test('the signature of another model', async () => {
    using files = await SignedDirectory.make();
    files.add({ ...meanOf4x2, name: 'other', bytes: meanModel(4, 2) });
    cpSync(files.file('model.sig'), join(files.path, 'other', '1', 'model.sig'));
    await expect(files.trusting(key).find(model('other'))).rejects.toEqual(refusal(/lacks the file report\.md/));
    cpSync(files.file('report.md'), join(files.path, 'other', '1', 'report.md'));
    await expect(files.trusting(key).find(model('other'))).rejects.toEqual(refusal(/model\.yaml has SHA-256/));
  });

  test('the whole of another model, under its name', async () => {
    using files = await SignedDirectory.make();
    mkdirSync(join(files.path, 'other'));
    cpSync(files.folder, join(files.path, 'other', '1'), { recursive: true });
    await expect(files.trusting(key).find(model('other@1'))).rejects.toThrow(/is 'mean', but the folder is 'other'/);
  });

  test('an older version, as a newer one', async () => {
    using files = await SignedDirectory.make();
    cpSync(files.folder, join(files.path, 'mean', '2'), { recursive: true });
    await expect(files.trusting(key).find(model('mean@2'))).rejects.toThrow(/is 1, but the folder is 2/);
  });
});

test('a version with any byte of any file changed is not used', async () => {
  using files = await SignedDirectory.make();
  const directory = files.trusting(key);
  const names = ['model.onnx', 'model.yaml', 'report.md', 'model.sig'];
  const sound = new Map(names.map((name) => [name, readFileSync(files.file(name))]));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.nat(), fc.integer({ min: 1, max: 255 }), async (name, at, mask) => {
      const before = sound.get(name) ?? Buffer.alloc(0);
      const after = Uint8Array.from(before);
      after[at % after.length] = (after[at % after.length] ?? 0) ^ mask;
      writeFileSync(files.file(name), after);
      try {
        const used = directory.find(model('mean')).then((stored) => directory.readModel(stored));
        const outcome = await used.then(
          () => 'used',
          (error: unknown) => errorCode(error),
        );
        // A byte of the bundle that nothing depends on may change: white space, a letter of `keyid`.
        const allowed = name === 'model.sig' ? ['used', 'model-untrusted'] : ['model-untrusted', 'model-file-invalid'];
        expect(allowed).toContain(outcome);
      } finally {
        writeFileSync(files.file(name), before);
      }
    }),
    { numRuns: 200 },
  );
});

describe('signing', () => {
  test('again replaces the signature and leaves no other file', async () => {
    using files = await SignedDirectory.make(new TestKey());
    await key.sign(files.folder);
    expect(await files.trusting(key).find(model('mean'))).toMatchObject({ version: 1 });
    expect(await files.trusting(key).versions('mean')).toEqual([1]);
  });

  test.each<[string, (files: SignedDirectory) => unknown, RegExp]>([
    [
      'a graph that model.yaml does not fit',
      (files) => appendFileSync(files.file('model.onnx'), '!'),
      /but model\.yaml says/,
    ],
    ['a folder in it', (files) => mkdirSync(files.file('sub')), /'sub', which is not a plain file/],
    ['no model.yaml', (files) => rmSync(files.file('model.yaml')), /no model\.yaml/],
    ['a wrong model.yaml', (files) => writeFileSync(files.file('model.yaml'), 'name: mean'), /model\.yaml:1:1: /],
  ])('a version with %s is refused, and the old signature stays', async (_, harm, says) => {
    using files = await SignedDirectory.make();
    const before = readFileSync(files.file('model.sig'));
    harm(files);
    await expect(key.sign(files.folder)).rejects.toThrow(says);
    expect(readFileSync(files.file('model.sig'))).toEqual(before);
  });
});
