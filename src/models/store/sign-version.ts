import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { ConfigError, errorMessage } from '../../platform/errors.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { readManifest } from './manifest-file.ts';
import { MANIFEST_BYTES_MAX } from './model-directory.ts';
import { sha256 } from '../../platform/sha256.ts';
import { signedBundle } from '../signing/bundle.ts';
import { SignatureError } from '../signing/signature-error.ts';
import type { SigningKey } from '../signing/signing-key.ts';
import { type FileDigests, formatStatement, SIGNATURE_FILE } from '../signing/statement.ts';
import { fileDigest, readSmallFile, versionFileNames } from '../signing/version-files.ts';

export type SignedVersion = {
  /** `NAME@VERSION` of model.yaml. */
  readonly model: string;
  /** Files that the signature covers. */
  readonly files: readonly string[];
};

/**
 * Signs every file in the folder of a version. The signature is written to the same folder and replaces an older one by
 * rename. An unusable version is not signed: model.yaml must be valid and match model.onnx.
 *
 * @param expected Name and version that model.yaml must have; undefined accepts any.
 * @throws {ConfigError} model.yaml is invalid.
 * @throws {OperatingError} 'model-file-invalid', 'signature-not-written'
 */
export async function signVersion(
  folder: string,
  key: SigningKey,
  options: {
    readonly expected: { readonly name: string; readonly version: number } | undefined;
    readonly modelBytesMax: number;
  },
): Promise<SignedVersion> {
  const { model, files } = await versionDigests(folder, options);
  await writeSignature(folder, signedBundle(formatStatement(model, files), key));
  return { model, files: [...files.keys()] };
}

async function versionDigests(
  folder: string,
  { expected, modelBytesMax }: Parameters<typeof signVersion>[2],
): Promise<{ readonly model: string; readonly files: FileDigests }> {
  try {
    const path = join(folder, 'model.yaml');
    const bytes = await readSmallFile(folder, 'model.yaml', MANIFEST_BYTES_MAX);
    if (bytes === undefined) throw new SignatureError('has no model.yaml');
    const { manifest, problems } = readManifest(path, new TextDecoder().decode(bytes), expected);
    if (manifest === undefined) throw new ConfigError(problems);
    const files = new Map<string, string>();
    for (const name of await versionFileNames(folder))
      files.set(name, name === 'model.yaml' ? sha256(bytes) : await fileDigest(folder, name, modelBytesMax));
    const graph = files.get('model.onnx');
    if (graph !== manifest.sha256)
      throw new SignatureError(
        `has a model.onnx of SHA-256 ${graph ?? '(missing)'}, but model.yaml says ${manifest.sha256 ?? 'that it runs on a server'}`,
      );
    return { model: formatModelReference(manifest), files };
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    throw inferenceFailure('model-file-invalid', `${folder} ${error.message}: it is not signed`, { cause: error });
  }
}

/** Writes the signature outside the folder first, so that a reader of the folder finds no unsigned file. */
async function writeSignature(folder: string, text: string): Promise<void> {
  try {
    const aside = await mkdtemp(join(dirname(folder), '.signing-'));
    try {
      const fresh = join(aside, SIGNATURE_FILE);
      await writeFile(fresh, text, { mode: 0o644, flush: true });
      await rename(fresh, join(folder, SIGNATURE_FILE));
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  } catch (error) {
    throw inferenceFailure('signature-not-written', `${join(folder, SIGNATURE_FILE)}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
