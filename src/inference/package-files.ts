import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../platform/errors.ts';
import { MANIFEST_BYTES_MAX } from './model-directory.ts';

const SIGNATURE_BYTES_MAX = 64_000;

/** The files of a package; model.sig may be missing, and a remote model has no model.onnx. */
const packageFiles = ['model.onnx', 'model.yaml', 'model.sig'] as const;
export type PackageFile = (typeof packageFiles)[number];
/** Bytes that each file may have. */
export type PackageBounds = Readonly<Record<PackageFile, number>>;

export function isPackageFile(name: string): name is PackageFile {
  return packageFiles.some((file) => file === name);
}

export function packageBounds(modelBytesMax: number): PackageBounds {
  return { 'model.onnx': modelBytesMax, 'model.yaml': MANIFEST_BYTES_MAX, 'model.sig': SIGNATURE_BYTES_MAX };
}

export function packageBytesMax(bounds: PackageBounds): number {
  return packageFiles.reduce((sum, file) => sum + bounds[file], 0);
}

/** The first file that is not the same in both folders; undefined where all are. */
export async function differingFile(folder: string, other: string): Promise<PackageFile | undefined> {
  for (const file of packageFiles) {
    const [one, another] = await Promise.all([digestOf(join(folder, file)), digestOf(join(other, file))]);
    if (one !== another) return file;
  }
  return undefined;
}

/** SHA-256 of a file; undefined where there is none. */
async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
