import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { parsePrivateKey, parsePublicKey, type SigningKey } from '../../src/models/signing/signing-key.ts';
import { signVersion } from '../../src/models/store/sign-version.ts';
import { type TrustedKey, trustedKeys } from '../../src/models/signing/trusted-keys.ts';

export const keyKinds = ['ed25519', 'P-256', 'P-384', 'P-521'] as const;

/** A key pair for tests. */
export class TestKey {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly key: SigningKey;

  constructor(kind: (typeof keyKinds)[number] = 'ed25519') {
    const { privateKey } =
      kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind });
    this.privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
    this.key = parsePrivateKey(this.privatePem, 'the test key', undefined);
  }

  get id(): string {
    return parsePublicKey(this.publicPem, 'the test key').id;
  }

  /** `models.trust` as the configuration has it. */
  get trust() {
    return { keys: [this.publicPem] };
  }

  get trusted(): readonly TrustedKey[] {
    return trustedKeys({ keys: [{ file: undefined, pem: this.publicPem }] }) ?? [];
  }

  async sign(folder: string): Promise<void> {
    await signVersion(folder, this.key, { expected: undefined, modelBytesMax: 1e9 });
  }
}
