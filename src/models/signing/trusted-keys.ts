import { basename } from 'node:path';
import { invariant } from '../../platform/errors.ts';
import type { VerifyingKey } from './signing-key.ts';
import { parsePublicKey, shortKeyId } from './signing-key.ts';

export type TrustedKey = VerifyingKey & {
  /** As it is shown: `1a2b3c4d5e6f7a8b (release.pub)`. */
  readonly label: string;
};

/** `models.trust` as the configuration reader leaves it. */
export type TrustConfig = {
  readonly keys: readonly { readonly file?: string | undefined; readonly pem?: string | undefined }[];
};

/**
 * The keys of `models.trust`; undefined where it is not set, and anything may be loaded.
 *
 * @param trust As the configuration's reader leaves it: every key with its text.
 * @throws {OperatingError} 'signing-key-invalid'
 */
export function trustedKeys(trust: TrustConfig | undefined): readonly TrustedKey[] | undefined {
  return trust?.keys.map(({ file, pem }) => {
    invariant(pem !== undefined, `the key ${file ?? ''} was read with the configuration`);
    const key = parsePublicKey(pem, file ?? 'the key');
    const place = file === undefined ? '' : ` (${basename(file)})`;
    return { ...key, label: `${shortKeyId(key.id)}${place}` };
  });
}
