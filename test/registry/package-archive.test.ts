import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unpackArchive } from '../../src/registry/package/package-archive.ts';
import { fileBytesMax } from '../../src/registry/package/package-files.ts';
import { isFileName } from '../../src/models/signing/file-name.ts';
import { errorCode } from '../../src/platform/errors.ts';
import { type TarEntry, tarOf } from '../support/model-packages.ts';

/*
 * For any archive, only plain files with plain names are written, into one folder, each within its size limit. A refusal
 * has a code and a reason.
 */
const limits = {
  modelBytesMax: 100_000,
  manifestBytesMax: 10_000,
  signatureBytesMax: 1_000,
  documentBytesMax: 500,
  documentsMax: 2,
};

let scratch = '';
let folder = '';

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'andon-archive-'));
  folder = mkdtempSync(join(scratch, 'package-'));
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function unpack(bytes: Uint8Array): Promise<readonly string[]> {
  const path = join(scratch, 'archive');
  writeFileSync(path, bytes);
  return unpackArchive(path, folder, limits);
}

const onnx: TarEntry = { name: 'model.onnx', data: 'graph' };
const yaml: TarEntry = { name: 'model.yaml', data: 'name: pump' };

describe('accepted', () => {
  test.each([
    ['files at the top', gzipSync(tarOf([onnx, yaml]))],
    ['files at the top, not compressed', tarOf([onnx, yaml])],
    ['files after ./', gzipSync(tarOf([{ name: './', type: '5' }, ...[onnx, yaml].map(inFolder('.'))]))],
    ['one top folder', gzipSync(tarOf([{ name: 'pump', type: '5' }, ...[onnx, yaml].map(inFolder('pump'))]))],
    ['one top folder after ./', gzipSync(tarOf([onnx, yaml].map(inFolder('./pump'))))],
    ['files with PAX headers, as Python writes them', gzipSync(tarOf([pax('22 mtime=1700000000.5\n'), onnx, yaml]))],
    ['padding after the end', gzipSync(Buffer.concat([tarOf([onnx, yaml]), Buffer.alloc(20_000)]))],
  ])('%s', async (_, bytes) => {
    expect(await unpack(bytes)).toEqual(['model.onnx', 'model.yaml']);
    expect(readFileSync(join(folder, 'model.onnx'), 'utf8')).toBe('graph');
    expect(readFileSync(join(folder, 'model.yaml'), 'utf8')).toBe('name: pump');
  });

  test('documents in addition to the model', async () => {
    expect(await unpack(tarOf([onnx, yaml, document('report.md')]))).toEqual(['model.onnx', 'model.yaml', 'report.md']);
    expect(readFileSync(join(folder, 'report.md'), 'utf8')).toBe('x');
  });

  test('a signature and an empty file', async () => {
    expect(await unpack(tarOf([{ name: 'model.onnx' }, yaml, { name: 'model.sig', data: 'sig' }]))).toHaveLength(3);
    expect(readFileSync(join(folder, 'model.onnx'))).toHaveLength(0);
  });

  test('a file of many chunks', async () => {
    const data = Buffer.alloc(99_999, 'abcdefg');
    await unpack(gzipSync(tarOf([{ name: 'model.onnx', data }, yaml])));
    expect(readFileSync(join(folder, 'model.onnx')).equals(data)).toBe(true);
  });
});

describe('refused', () => {
  const huge = Buffer.alloc(2_000_000);
  test.each<readonly [string, Uint8Array, string, RegExp]>([
    ['a path out of the folder', tarOf([{ name: '../model.onnx', data: 'x' }]), 'invalid', /"\.\.\/model\.onnx"/],
    ['an absolute path', tarOf([{ name: '/tmp/model.onnx', data: 'x' }]), 'invalid', /"\/tmp\/model\.onnx"/],
    ['a path of two folders', tarOf([{ name: 'a/b/model.onnx', data: 'x' }]), 'invalid', /"a\/b\/model\.onnx"/],
    ['a path in a PAX header', tarOf([pax('21 path=../../passwd\n'), onnx]), 'invalid', /passwd/],
    ['a symbolic link', tarOf([{ name: 'model.onnx', type: '2', linkName: '/etc/passwd' }]), 'invalid', /SymbolicLink/],
    ['a hard link', tarOf([{ name: 'model.onnx', type: '1', linkName: 'model.yaml' }]), 'invalid', /\(Link\)/],
    ['a device', tarOf([{ name: 'model.onnx', type: '3' }]), 'invalid', /CharacterDevice/],
    ['a pipe', tarOf([{ name: 'model.onnx', type: '6' }]), 'invalid', /FIFO/],
    ['a sparse file', tarOf([{ name: 'model.onnx', type: 'S', data: 'x' }]), 'invalid', /SparseFile|Unsupported/i],
    ['a hidden file', tarOf([onnx, yaml, { name: '.profile', data: 'x' }]), 'invalid', /\.profile/],
    ['a file with an invalid name', tarOf([onnx, yaml, { name: 'a b', data: 'x' }]), 'invalid', /a b/],
    [
      'more documents than the limit',
      tarOf([onnx, yaml, ...['a', 'b', 'c', 'd'].map(document)]),
      'invalid',
      /more than 5 files/,
    ],
    ['a document over its limit', tarOf([{ name: 'a.md', data: 'x'.repeat(501) }]), 'too-large', /a\.md has 501/],
    ['a file twice', tarOf([onnx, yaml, onnx]), 'invalid', /model\.onnx twice/],
    ['files in two folders', tarOf([inFolder('a')(onnx), inFolder('b')(yaml)]), 'invalid', /two folders, 'a' and 'b'/],
    ['too many folders', tarOf(Array.from({ length: 9 }, () => ({ name: 'a/', type: '5' }))), 'invalid', /Directory/],
    ['an archive in an archive', gzipSync(gzipSync(tarOf([onnx, yaml]))), 'invalid', /compressed twice/],
    ['a truncated compressed archive', gzipSync(tarOf([onnx, yaml])).subarray(0, -20), 'invalid', /damaged/],
    ['a truncated archive', tarOf([{ ...onnx, size: 50_000 }]), 'invalid', /damaged/],
    ['a changed header', changed(tarOf([onnx, yaml]), 0), 'invalid', /damaged/],
    ['an empty file', Buffer.alloc(0), 'invalid', /damaged/],
    ['a web page', Buffer.from('<!doctype html>'.repeat(100)), 'invalid', /damaged/],
    ['a file over its limit', tarOf([{ name: 'model.onnx', data: huge }]), 'too-large', /2\.0 MB in the archive/],
    ['a size of 10 TB', tarOf([{ name: 'model.onnx', size: 1e13 }]), 'too-large', /10000\.0 GB/],
    [
      'zeros that were compressed to a few bytes',
      gzipSync(Buffer.concat([tarOf([onnx]), huge])),
      'too-large',
      /more than 1\.1 MB/,
    ],
    ['a PAX header of two megabytes', tarOf([pax('x'.repeat(2_000_000))]), 'invalid', /ExtendedHeader/],
    ['a PAX header of a hundred kilobytes', tarOf([pax('x'.repeat(100_000))]), 'invalid', /ExtendedHeader/],
  ])('%s', async (_, bytes, code, reason) => {
    await expect(unpack(bytes)).rejects.toMatchObject({
      code: `model-package-${code}`,
      disposition: 'reject',
      message: expect.stringMatching(reason) as string,
    });
    expect(readdirSync(scratch).toSorted()).toEqual(['archive', folder.slice(scratch.length + 1)]);
  });

  test('a file that lies there already is not written over', async () => {
    const precious = join(scratch, 'precious');
    writeFileSync(precious, 'precious');
    symlinkSync(precious, join(folder, 'model.onnx'));
    await expect(unpack(tarOf([onnx, yaml]))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(precious, 'utf8')).toBe('precious');
  });
});

describe('for any archive', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'model.onnx',
      'model.yaml',
      'model.sig',
      './model.onnx',
      'a/model.yaml',
      '../model.onnx',
      '..',
      '.',
      '/',
    ),
    fc.string({ maxLength: 99 }),
  );
  const entry: fc.Arbitrary<TarEntry> = fc.record(
    {
      name,
      data: fc.uint8Array({ maxLength: 3_000 }),
      type: fc.constantFrom('0', '\0', '1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', 'Z'),
      linkName: fc.constantFrom('', '/etc/passwd', '../..', 'model.yaml'),
      size: fc.oneof(fc.nat(5_000), fc.constantFrom(2 ** 33, 2 ** 53 - 1)),
    },
    { requiredKeys: ['name'] },
  );

  test('entries of any kind: nothing else is written, and every refusal has its code', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 5 }), fc.boolean(), async (entries, compressed) => {
        const tar = tarOf(entries);
        expect(await breaches(compressed ? gzipSync(tar) : tar)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test('bytes changed anywhere: the same', async () => {
    const sound = [tarOf([onnx, yaml]), gzipSync(tarOf([pax('22 mtime=1700000000.5\n'), onnx, yaml]))];
    const change = fc.record({ at: fc.nat(), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sound),
        fc.array(change, { minLength: 1, maxLength: 8 }),
        async (bytes, changes) => {
          const other = Buffer.from(bytes);
          for (const { at, to } of changes) other[at % other.length] = to;
          expect(await breaches(other)).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Faults of an unpacked archive; none if it gave files of a package or was refused. */
async function breaches(bytes: Uint8Array): Promise<readonly string[]> {
  rmSync(folder, { recursive: true, force: true });
  folder = mkdtempSync(join(scratch, 'package-'));
  const refusal = await unpack(bytes).then(() => undefined, errorCode);
  const files = readdirSync(folder, { withFileTypes: true });
  return [
    ...[refusal].filter((code) => ![undefined, 'model-package-invalid', 'model-package-too-large'].includes(code)),
    ...readdirSync(scratch).filter((name) => name !== 'archive' && name !== basename(folder)),
    ...files.filter((file) => !isFileName(file.name) || !file.isFile() || isTooLarge(file.name)),
  ].map(String);
}

function isTooLarge(file: string): boolean {
  return statSync(join(folder, file)).size > fileBytesMax(limits, file);
}

function document(name: string): TarEntry {
  return { name, data: 'x' };
}

function inFolder(name: string): (entry: TarEntry) => TarEntry {
  return (entry) => ({ ...entry, name: `${name}/${entry.name}` });
}

/** An extended header; it says something of the entry behind it. */
function pax(data: string): TarEntry {
  return { name: 'PaxHeader/model.onnx', type: 'x', data };
}

function changed(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
}
