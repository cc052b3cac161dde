import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readKeyText, readPrivateKey, writeKeyPair } from '../../../src/models/signing/key-files.ts';
import { parsePrivateKey, parsePublicKey } from '../../../src/models/signing/signing-key.ts';
import { TestKey } from '../../support/signing-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'andon-keys-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const invalid = { code: 'signing-key-invalid', disposition: 'reject' };

describe('a new key pair', () => {
  test('is for its owner alone, both halves have one id, and signs', async () => {
    const { publicPath, key } = await writeKeyPair(at('new'), undefined);
    expect(statSync(at('new')).mode & 0o777).toBe(0o600);
    const { key: signing, exposed } = await readPrivateKey(at('new'), undefined);
    expect(exposed).toBe(false);
    expect(signing.id).toBe(key.id);
    expect(parsePublicKey(readFileSync(publicPath, 'utf8'), 'it').id).toBe(key.id);
  });

  test.each(['old', 'old.pub'])('replaces no file: %s', async (name) => {
    rmSync(at('old'), { force: true });
    rmSync(at('old.pub'), { force: true });
    writeFileSync(at(name), 'precious');
    await expect(writeKeyPair(at('old'), undefined)).rejects.toMatchObject({ code: 'signing-key-not-written' });
    expect(readFileSync(at(name), 'utf8')).toBe('precious');
    expect(existsSync(at(name === 'old' ? 'old.pub' : 'old'))).toBe(false);
  });

  test('that is encrypted opens only with its passphrase', async () => {
    const { key } = await writeKeyPair(at('locked'), 'open sesame');
    expect(readFileSync(at('locked'), 'utf8')).toContain('ENCRYPTED PRIVATE KEY');
    expect((await readPrivateKey(at('locked'), 'open sesame')).key.id).toBe(key.id);
    await expect(readPrivateKey(at('locked'), 'open')).rejects.toThrow(/Check the passphrase/);
    await expect(readPrivateKey(at('locked'), undefined)).rejects.toThrow(/locked is encrypted\. .*--passphrase-file/);
  });
});

test('a private key that others may read is said to be exposed', async () => {
  await writeKeyPair(at('exposed'), undefined);
  chmodSync(at('exposed'), 0o640);
  expect(await readPrivateKey(at('exposed'), undefined)).toMatchObject({ exposed: true });
});

describe('no public key is', () => {
  const { publicPem, privatePem } = new TestKey();
  const spki = (key: ReturnType<typeof generateKeyPairSync>['publicKey']) =>
    key.export({ type: 'spki', format: 'pem' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed448 = generateKeyPairSync('ed448');
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  test.each<[string, string, RegExp]>([
    ['a private key', privatePem, /it is a private key\. Use its public key/],
    ['an encrypted private key', privatePem.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE'), /is a private key/],
    ['two keys', publicPem + publicPem, /not one public key in PEM.*found PUBLIC KEY, PUBLIC KEY/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n', /found CERTIFICATE/],
    ['any text', 'ssh-ed25519 AAAA', /found none/],
    ['nothing', '', /found none/],
    ['damaged', publicPem.replace(/^M/m, 'N'), /cannot be read as a key/],
    ['RSA', spki(rsa.publicKey).toString(), /is a key of type rsa, expected Ed25519/],
    ['Ed448', spki(ed448.publicKey).toString(), /is a key of type ed448/],
    ['of another curve', spki(koblitz.publicKey).toString(), /is a key of type secp256k1/],
  ])('%s', (_, text, says) => {
    expect(() => parsePublicKey(text, 'it')).toThrow(expect.objectContaining(invalid));
    expect(() => parsePublicKey(text, 'it')).toThrow(says);
  });
});

test('a private key is none that is public, and none that is not there', async () => {
  expect(() => parsePrivateKey(new TestKey().publicPem, 'it', undefined)).toThrow(/not one private key.*PUBLIC KEY/);
  await expect(readPrivateKey(at('nowhere'), undefined)).rejects.toThrow(/nowhere: there is no such file/);
});

test('a key file over the size limit is refused', async () => {
  writeFileSync(at('huge'), 'x'.repeat(20_000));
  await expect(readKeyText(at('huge'))).rejects.toThrow(/more than 16384 bytes/);
});
