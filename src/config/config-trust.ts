import { readKeyText } from '../models/signing/key-files.ts';
import { parsePublicKey } from '../models/signing/signing-key.ts';
import { OperatingError } from '../platform/errors.ts';
import { error, type Finding } from './config-finding.ts';
import type { AgentConfig } from './config-schema.ts';

type Trust = AgentConfig['models']['trust'];

/** Trusted keys with the text of their files, or the problems. If one key is invalid, none is trusted. */
export type TrustReading =
  | { readonly trust: Trust; readonly findings: readonly [] }
  | { readonly trust: undefined; readonly findings: readonly Finding[] };

/**
 * Reads the files of `models.trust.keys`. A key that changes on disk takes effect when the configuration is read again.
 *
 * @param trust Keys with absolute paths.
 */
export async function readTrust(trust: Trust): Promise<TrustReading> {
  if (trust === undefined) return { trust, findings: [] };
  const keys = await Promise.all(trust.keys.map(readKey));
  const findings = keys.flatMap((key, index) =>
    typeof key === 'string' ? [error(['models', 'trust', 'keys', index], key)] : [],
  );
  if (findings.length > 0) return { trust: undefined, findings };
  return { trust: { keys: keys.filter((key) => typeof key !== 'string') }, findings: [] };
}

type Key = NonNullable<Trust>['keys'][number];

/** Returns the key with its text, or the problem. */
async function readKey({ file, pem }: Key): Promise<Key | string> {
  try {
    const text = pem ?? (file === undefined ? '' : (await readKeyText(file)).text);
    parsePublicKey(text, file ?? 'the key');
    return { file, pem: text };
  } catch (caught) {
    if (caught instanceof OperatingError) return caught.message;
    throw caught;
  }
}
