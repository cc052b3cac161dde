import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { testManifest, type TestModel } from './onnx-directory.ts';

/** An entry of a tar archive, right or wrong. */
export type TarEntry = {
  readonly name: string;
  readonly data?: Uint8Array | string;
  /** As in the header: '0' a file, '5' a folder, '2' a symbolic link, '1' a hard link, 'x' a PAX header, … */
  readonly type?: string;
  readonly linkName?: string;
  /** Value of the header, if it must be wrong. */
  readonly size?: number;
};

const BLOCK_BYTES = 512;

/** An archive in ustar's form, written by the standard and not by the library that reads it. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const data = Buffer.from(entry.data ?? '');
    const padding = Buffer.alloc((BLOCK_BYTES - (data.length % BLOCK_BYTES)) % BLOCK_BYTES);
    return [tarHeader(entry, entry.size ?? data.length), data, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** @see POSIX.1-2017, pax, "ustar Interchange Format". */
function tarHeader({ name, type = '0', linkName = '' }: TarEntry, size: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  // Past eight gigabytes a size is binary, in base 256 (GNU).
  if (size < 0o77777777777) header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(linkName, 157, 100);
  header.write('ustar', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** The files of a package, by name. */
function packageFilesOf(model: TestModel): Readonly<Record<'model.onnx' | 'model.yaml', Buffer>> {
  return { 'model.onnx': Buffer.from(model.bytes), 'model.yaml': Buffer.from(stringify(testManifest(model))) };
}

/** As a folder. */
export function writePackage(folder: string, model: TestModel): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(packageFilesOf(model))) writeFileSync(join(folder, name), content);
  return folder;
}

/** As a .tgz with one top folder. */
export function packageArchive(model: TestModel): Buffer {
  const files = Object.entries(packageFilesOf(model)).map(([name, data]) => ({ name: `${model.name}/${name}`, data }));
  return gzipSync(tarOf([{ name: `${model.name}/`, type: '5' }, ...files]));
}
