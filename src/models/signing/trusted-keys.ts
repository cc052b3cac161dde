import { basename } from 'node:path';
import { invariant } from '../../platform/errors.ts';
import { parsePublicKey, shortKeyId, type VerifyingKey } from './signing-key.ts';

export type TrustedKey = VerifyingKey & {
  /** Display name, such as `1a2b3c4d5e6f7a8b (release.pub)`. */
  readonly label: string;
};

/** Parsed `models.trust`. */
export type TrustConfig = {
  readonly keys: readonly { readonly file?: string | undefined; readonly pem?: string | undefined }[];
};

/**
 * Returns the keys of `models.trust`; undefined if it is not set, so that any version may be loaded.
 *
 * @param trust Parsed configuration, with the text of every key.
 * @throws {OperatingError} 'signing-key-invalid'
 */
export function trustedKeys(trust: TrustConfig | undefined): readonly TrustedKey[] | undefined {
  return trust?.keys.map(({ file, pem }) => {
    invariant(pem !== undefined, `the key ${file ?? ''} was read with the configuration`);
    const key = parsePublicKey(pem, file ?? 'the key');
    const source = file === undefined ? '' : ` (${basename(file)})`;
    return { ...key, label: `${shortKeyId(key.id)}${source}` };
  });
}
