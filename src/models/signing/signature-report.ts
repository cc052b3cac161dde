import { SignatureError } from './signature-error.ts';
import type { TrustedKey } from './trusted-keys.ts';
import { compareFiles, readSignature } from './version-signature.ts';

/**
 * State of a signature, for display. 'unchecked': the format is valid and the files match, but there is no key to verify
 * it with.
 */
export type SignatureReport =
  | { readonly state: 'unsigned' }
  | {
      readonly state: 'trusted' | 'unchecked';
      readonly keyId: string;
      /** Display name of the key. */
      readonly key: string;
    }
  | { readonly state: 'refused'; readonly reason: string };

/**
 * Checks the signature of a version against every byte of its files.
 *
 * @param keys Undefined if no key is trusted.
 * @param bytesMax Largest size of one file.
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
