import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import type { GpuWheel } from '../../src/gpu/gpu-wheels.ts';
import { fileSha256 } from '../../src/platform/sha256.ts';

/** Writes a wheel with the given files by name, and returns its line of the list. */
export async function writeWheel(
  folder: string,
  name: string,
  files: Readonly<Record<string, string>>,
): Promise<GpuWheel> {
  const zip = new ZipFile();
  for (const [file, content] of Object.entries(files)) zip.addBuffer(Buffer.from(content), file);
  zip.end();
  const path = join(folder, `${name.replaceAll('-', '_')}-1.2.3-py3-none-manylinux2014_x86_64.whl`);
  await pipeline(zip.outputStream, createWriteStream(path));
  return { name, version: '1.2.3', sha256: await fileSha256(path) };
}
