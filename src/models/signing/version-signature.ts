import { type Bundle, BUNDLE_BYTES_MAX, parseBundle } from './bundle.ts';
import { SignatureError } from './signature-error.ts';
import { shortKeyId, verifyBytes } from './signing-key.ts';
import { type FileDigests, parseStatement, SIGNATURE_FILE } from './statement.ts';
import type { TrustedKey } from './trusted-keys.ts';
import { fileDigest, readSmallFile, versionFileNames } from './version-files.ts';

const KEYS_SHOWN_MAX = 5;

/** A signature whose files are not compared yet. */
type ReadSignature = {
  readonly keyId: string;
  /** Display name of the key. */
  readonly key: string;
  /** Digests of the signed files. */
  readonly files: FileDigests;
};

/**
 * Reads the signature of a version and verifies that it was made by one of the keys.
 *
 * @param keys Undefined to check the format only.
 * @returns Undefined if the version is not signed.
 * @throws {SignatureError}
 */
export async function readSignature(
  folder: string,
  keys: readonly TrustedKey[] | undefined,
): Promise<ReadSignature | undefined> {
  const bytes = await readSmallFile(folder, SIGNATURE_FILE, BUNDLE_BYTES_MAX);
  if (bytes === undefined) return undefined;
  const bundle = parseBundle(bytes);
  const key = keys === undefined ? shortKeyId(bundle.keyId) : signerOf(bundle, keys).label;
  return { keyId: bundle.keyId, key, files: parseStatement(bundle.payload) };
}

/** Returns the key that made the signature. The key id in the bundle only selects one of the trusted keys. */
function signerOf(bundle: Bundle, keys: readonly TrustedKey[]): TrustedKey {
  const key = keys.find(({ id }) => id === bundle.keyId);
  if (key === undefined)
    throw new SignatureError(
      `is signed by key ${shortKeyId(bundle.keyId)}, which is not trusted (trusted: ${keyList(keys)})`,
    );
  if (verifyBytes(key, bundle.signedBytes, bundle.signature)) return key;
  throw new SignatureError(
    `has a ${SIGNATURE_FILE} that names key ${key.label}, but the signature was not made by this key`,
  );
}

/** Returns the first keys as text, for a message. */
export function keyList(keys: readonly TrustedKey[]): string {
  const labels = keys.slice(0, KEYS_SHOWN_MAX).map(({ label }) => label);
  const more = keys.length - labels.length;
  return `${labels.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/**
 * Compares the names and bytes of a version's files with the signature.
 *
 * @param options.bytesMax Largest size of one file.
 * @param options.except Files whose digests the caller compares itself.
 * @throws {SignatureError}
 */
export async function compareFiles(
  folder: string,
  signature: ReadSignature,
  options: { readonly bytesMax: number; readonly except: readonly string[] },
): Promise<void> {
  const { key, files } = signature;
  const names = await versionFileNames(folder);
  const added = names.find((name) => !files.has(name));
  if (added !== undefined) throw new SignatureError(`has the file ${added}, which key ${key} did not sign`);
  const missing = [...files.keys()].find((name) => !names.includes(name));
  if (missing !== undefined) throw new SignatureError(`lacks the file ${missing}, which key ${key} signed`);
  for (const name of names)
    if (!options.except.includes(name))
      compareDigest(signature, name, await fileDigest(folder, name, options.bytesMax));
}

/** @throws {SignatureError} The file differs from the signed one. */
export function compareDigest({ key, files }: ReadSignature, name: string, sha256: string): void {
  const signed = files.get(name);
  if (signed === sha256) return;
  if (signed === undefined) throw new SignatureError(`has a ${SIGNATURE_FILE} that does not cover ${name}`);
  throw new SignatureError(`was changed after key ${key} signed it: ${name} has SHA-256 ${sha256}, expected ${signed}`);
}
