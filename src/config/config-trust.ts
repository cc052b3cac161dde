import { readKeyText } from '../models/signing/key-files.ts';
import { parsePublicKey } from '../models/signing/signing-key.ts';
import { OperatingError } from '../platform/errors.ts';
import type { Finding } from './config-finding.ts';
import { error } from './config-finding.ts';
import type { AgentConfig } from './config-schema.ts';

type Trust = AgentConfig['models']['trust'];

/** The trusted keys with the text of their files, or what is wrong with them: never some keys without the others. */
export type TrustReading =
  | { readonly trust: Trust; readonly findings: readonly [] }
  | { readonly trust: undefined; readonly findings: readonly Finding[] };

/**
 * Reads the files of `models.trust.keys`, once: a key that is exchanged on the disk is trusted at the next reading of
 * the configuration, and not before.
 *
 * @param trust Paths absolute.
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

/** @returns What is wrong, where it is no key. */
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
