import { createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';

/** Native libraries of the wheels that andon needs. TensorRT's provider needs TensorRT, which is not in a wheel of the list. */
const NEEDED = /^(?:onnxruntime\/capi\/libonnxruntime_providers_(?:shared|cuda)\.so|nvidia\/.+\/lib[^/]+\.so[.\d]*)$/;

/** Name and version of a wheel, as its file name has them. */
export type WheelName = { readonly name: string; readonly version: string };

/** Parses `nvidia_cublas-13.10.0.20-py3-none-….whl`. @returns undefined if it is not the name of a wheel. */
export function parseWheelName(file: string): WheelName | undefined {
  const [, name, version] = /^([A-Za-z0-9_.]+)-([^-]+)-.+\.whl$/.exec(basename(file)) ?? [];
  return name === undefined || version === undefined
    ? undefined
    : { name: name.toLowerCase().replaceAll(/[_.]+/g, '-'), version };
}

/**
 * Writes the native libraries of a wheel into a folder, without the folders of the wheel.
 *
 * @returns Their names.
 * @throws {Error} The file is not a wheel, or the disk refuses.
 */
export async function extractLibraries(file: string, folder: string): Promise<readonly string[]> {
  const zip = await openPromise(file);
  const names: string[] = [];
  for await (const entry of zip.eachEntry()) {
    if (!NEEDED.test(entry.fileName)) continue;
    const name = basename(entry.fileName);
    const content = await zip.openReadStreamPromise(entry);
    await pipeline(content, createWriteStream(join(folder, name), { mode: 0o644, flush: true }));
    names.push(name);
  }
  return names;
}
