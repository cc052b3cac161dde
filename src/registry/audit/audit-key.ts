import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { readSecret, secretReference } from '../../platform/config-fields.ts';

const KEY_LENGTH_MIN = 32;
const ID_LENGTH = 16;

/** Section `audit`. */
export const auditConfigSchema = z.strictObject({
  key: secretReference
    .optional()
    .describe(
      'Key of the audit logs, 32 characters or more (openssl rand -hex 32). Each record then has an HMAC-SHA256, so that only its owner can write a log that andon audit verify accepts',
    )
    .meta({ examples: [{ file: '/run/credentials/andon.service/secret_audit' }] }),
  after: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, { error: 'expected the hash of a record, from andon audit verify' }))
    .default([])
    .describe(
      'Hash of the last record of each log that has no HMAC of the key, because the key was set or renewed later',
    ),
});
export type AuditConfig = z.infer<typeof auditConfigSchema>;

/** Secret key of the audit logs. Each record has an HMAC of its hash, which is over all records before it, too. */
export class AuditKey {
  readonly #key: string;
  readonly #id: string;

  private constructor(key: string) {
    this.#key = key;
    this.#id = this.#digest('id of the key').slice(0, ID_LENGTH);
  }

  /**
   * Reads the key; undefined if none is configured.
   *
   * @throws {OperatingError} 'secret-missing' (retry), 'audit-key-invalid' (reject).
   */
  static read({ key: reference }: AuditConfig): AuditKey | undefined {
    if (reference === undefined) return undefined;
    const key = readSecret(reference);
    if (key.length >= KEY_LENGTH_MIN) return new AuditKey(key);
    throw registryFailure(
      'audit-key-invalid',
      `The key in audit.key has ${key.length} characters; it needs ${KEY_LENGTH_MIN} or more`,
    );
  }

  /** Returns the HMAC of a record: `<id of the key>:<HMAC-SHA256 of its hash>`. */
  hmac(hash: string): string {
    return `${this.#id}:${this.#digest(hash)}`;
  }

  /** Returns why a record is not proved by this key; undefined if it is. */
  fault(hash: string, hmac: string | undefined): string | undefined {
    if (hmac === undefined) return 'has no HMAC, so it was written without the key';
    if (!hmac.startsWith(`${this.#id}:`)) return 'has the HMAC of another key';
    const expected = Buffer.from(this.hmac(hash));
    const found = Buffer.from(hmac);
    const isEqual = found.length === expected.length && timingSafeEqual(found, expected);
    return isEqual ? undefined : 'was not written with the key: its HMAC does not match its hash';
  }

  #digest(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('hex');
  }
}
