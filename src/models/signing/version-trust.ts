import { inferenceFailure } from '../errors/inference-failure.ts';
import { sha256 } from '../../platform/sha256.ts';
import { SignatureError } from './signature-error.ts';
import type { TrustedKey } from './trusted-keys.ts';
import { compareDigest, compareFiles, keyList, readSignature } from './version-signature.ts';

/** A version whose `model.yaml` is proved to be what a trusted key signed. */
export type TrustedVersion = {
  /** The key as it is shown to people. */
  readonly key: string;
  /** @throws {OperatingError} 'model-untrusted' where the graph that model.yaml names is not the one that was signed. */
  readonly checkGraph: (graphSha256: string) => void;
};

/**
 * Lets a version pass only if a trusted key signed what is about to be used.
 *
 * Between this check and the use there is no gap. What is compared with the signature is the SHA-256 of the very bytes
 * that are parsed as `model.yaml`, and then, by `checkGraph`, the SHA-256 of `model.onnx` that those bytes name. The
 * graph itself is read once, in the inference host, which loads a private copy of bytes with that SHA-256 and no
 * others. So whatever happens to the folder meanwhile, and however often a host is replaced, a graph that was not
 * signed does not run. Files that andon never reads are compared too: a version is as it was signed, or it is not used.
 *
 * @param version.label `NAME@VERSION`.
 * @param version.manifest The bytes of model.yaml that are parsed once this returns.
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
      throw new SignatureError(
        `is not signed, and models.trust lets nothing unsigned be used (trusted: ${keyList(keys)})`,
      );
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
    `Model ${label} ${error.message}. Once it is known to be good: andon models sign ${label} --key KEY`,
    { cause: error },
  );
}
