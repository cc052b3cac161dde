import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SIGNATURE_FILE } from '../../models/signing/statement.ts';
import { MANIFEST_BYTES_MAX } from '../../models/store/model-directory.ts';
import { errorCode } from '../../platform/errors.ts';
import { fileSha256 } from '../../platform/sha256.ts';

/** Largest size of each file of a package, and largest number of documents. */
export type PackageLimits = {
  readonly modelBytesMax: number;
  readonly manifestBytesMax: number;
  readonly signatureBytesMax: number;
  /** A document is for example the report of a training, a plot or a licence. */
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

export function fileBytesMax(limits: PackageLimits, name: string): number {
  switch (name) {
    case 'model.onnx':
      return limits.modelBytesMax;
    case 'model.yaml':
      return limits.manifestBytesMax;
    case SIGNATURE_FILE:
      return limits.signatureBytesMax;
    default:
      return limits.documentBytesMax;
  }
}

export function packageBytesMax(limits: PackageLimits): number {
  const { modelBytesMax, manifestBytesMax, signatureBytesMax, documentBytesMax, documentsMax } = limits;
  return modelBytesMax + manifestBytesMax + signatureBytesMax + documentsMax * documentBytesMax;
}

/** Graph, manifest, signature and documents. */
export function packageFilesMax({ documentsMax }: PackageLimits): number {
  return 3 + documentsMax;
}

/** Returns the first file that differs between two folders; undefined if none does. */
export async function differingFile(folder: string, other: string): Promise<string | undefined> {
  const names = await Promise.all([readdir(folder), readdir(other)]);
  for (const name of new Set(names.flat().toSorted())) {
    const [one, another] = await Promise.all([fileDigest(join(folder, name)), fileDigest(join(other, name))]);
    if (one !== another) return name;
  }
  return undefined;
}

/** Returns the SHA-256 of a file; undefined if it is missing. */
async function fileDigest(path: string): Promise<string | undefined> {
  try {
    return await fileSha256(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
