import { inferenceFailure } from '../errors/inference-failure.ts';
import { sha256 } from '../../platform/sha256.ts';
import { SignatureError } from './signature-error.ts';
import type { TrustedKey } from './trusted-keys.ts';
import { compareDigest, compareFiles, keyList, readSignature } from './version-signature.ts';

/** A version whose `model.yaml` was signed by a trusted key. */
export type TrustedVersion = {
  /** Display name of the key. */
  readonly key: string;
  /** @throws {OperatingError} 'model-untrusted' if the graph of model.yaml is not the signed one. */
  readonly checkGraph: (graphSha256: string) => void;
};

/**
 * Checks that a trusted key signed a version.
 *
 * There is no gap between this check and the use. The signature is compared with the SHA-256 of the bytes that are then
 * parsed as `model.yaml`, and by `checkGraph` with the SHA-256 of `model.onnx` in those bytes. The inference host reads
 * the graph once and loads only bytes with that SHA-256. An unsigned graph therefore never runs, even if the folder
 * changes or the host is replaced. Files that andon does not read are compared too.
 *
 * @param version.label `NAME@VERSION`.
 * @param version.manifest The bytes of model.yaml that the caller parses.
 * @throws {OperatingError} 'model-untrusted'
 */
export async function trustVersion(
  version: {
    readonly label: string;
    readonly folder: string;
    readonly manifest: Uint8Array;
    readonly bytesMax: number;
  },
  keys: readonly TrustedKey[],
): Promise<TrustedVersion> {
  const { label, folder, manifest, bytesMax } = version;
  try {
    const signature = await readSignature(folder, keys);
    if (signature === undefined)
      throw new SignatureError(`is not signed, but models.trust requires a signature (trusted: ${keyList(keys)})`);
    await compareFiles(folder, signature, { bytesMax, except: ['model.yaml', 'model.onnx'] });
    compareDigest(signature, 'model.yaml', sha256(manifest));
    return {
      key: signature.key,
      checkGraph: (graphSha256) => {
        try {
          compareDigest(signature, 'model.onnx', graphSha256);
        } catch (error) {
          throw untrusted(label, error);
        }
      },
    };
  } catch (error) {
    throw untrusted(label, error);
  }
}

function untrusted(label: string, error: unknown): unknown {
  if (!(error instanceof SignatureError)) return error;
  return inferenceFailure(
    'model-untrusted',
    `Model ${label} ${error.message}. If the version is known to be good: andon models sign ${label} --key KEY`,
    { cause: error },
  );
}
