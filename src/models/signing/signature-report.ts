import { SignatureError } from './signature-error.ts';
import type { TrustedKey } from './trusted-keys.ts';
import { compareFiles, readSignature } from './version-signature.ts';

/**
 * How the signature of a version stands, for people. 'unchecked': its form is right and it fits the files, but there
 * is no key to prove it with.
 */
export type SignatureReport =
  | { readonly state: 'unsigned' }
  | {
      readonly state: 'trusted' | 'unchecked';
      readonly keyId: string;
      /** The key as it is shown to people. */
      readonly key: string;
    }
  | { readonly state: 'refused'; readonly reason: string };

/**
 * Checks the signature of a version against every byte of its files.
 *
 * @param keys Undefined where none is trusted.
 * @param bytesMax Of one file.
 */
export async function signatureReport(
  folder: string,
  keys: readonly TrustedKey[] | undefined,
  bytesMax: number,
): Promise<SignatureReport> {
  try {
    const signature = await readSignature(folder, keys);
    if (signature === undefined) return { state: 'unsigned' };
    await compareFiles(folder, signature, { bytesMax, except: [] });
    const { keyId, key } = signature;
    return { state: keys === undefined ? 'unchecked' : 'trusted', keyId, key };
  } catch (error) {
    if (error instanceof SignatureError) return { state: 'refused', reason: error.message };
    throw error;
  }
}
