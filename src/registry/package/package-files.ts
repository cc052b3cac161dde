import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../platform/errors.ts';
import { MANIFEST_BYTES_MAX } from '../../models/store/model-directory.ts';
import { SIGNATURE_FILE } from '../../models/signing/statement.ts';

/** Bytes that each file of a package may have, and how many documents there may be beside the model. */
export type PackageLimits = {
  readonly modelBytesMax: number;
  readonly manifestBytesMax: number;
  readonly signatureBytesMax: number;
  /** The report of a training with its plots, a licence: a signature covers them as well. */
  readonly documentBytesMax: number;
  readonly documentsMax: number;
};

export function packageLimits(modelBytesMax: number): PackageLimits {
  return {
    modelBytesMax,
    manifestBytesMax: MANIFEST_BYTES_MAX,
    signatureBytesMax: 64_000,
    documentBytesMax: 2_000_000,
    documentsMax: 16,
  };
}

export function fileBytesMax(bounds: PackageLimits, name: string): number {
  switch (name) {
    case 'model.onnx':
      return bounds.modelBytesMax;
    case 'model.yaml':
      return bounds.manifestBytesMax;
    case SIGNATURE_FILE:
      return bounds.signatureBytesMax;
    default:
      return bounds.documentBytesMax;
  }
}

export function packageBytesMax(bounds: PackageLimits): number {
  const { modelBytesMax, manifestBytesMax, signatureBytesMax, documentBytesMax, documentsMax } = bounds;
  return modelBytesMax + manifestBytesMax + signatureBytesMax + documentsMax * documentBytesMax;
}

/** Graph, manifest, signature and documents. */
export function packageFilesMax({ documentsMax }: PackageLimits): number {
  return 3 + documentsMax;
}

/** The first file that is not the same in both folders; undefined where all are. */
export async function differingFile(folder: string, other: string): Promise<string | undefined> {
  const names = await Promise.all([readdir(folder), readdir(other)]);
  for (const name of new Set(names.flat().toSorted())) {
    const [one, another] = await Promise.all([digestOf(join(folder, name)), digestOf(join(other, name))]);
    if (one !== another) return name;
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
