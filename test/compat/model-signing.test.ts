import { execFile } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { signatureReport } from '../../src/models/signing/signature-report.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { TestKey } from '../support/signing-keys.ts';

/*
 * OpenSSF model signing's own tool on the other side. It takes elliptic curves for its method `key`, and there both
 * ways are proved with the tool as it is. Ed25519 it refuses, so that for it its library is used with its check of the
 * kind of key taken out: then all of the bundle but that one check is proved.
 */
const run = promisify(execFile);
const ed25519 = join(import.meta.dirname, '../support/model-signing-ed25519.py');
const model = join(import.meta.dirname, '../../models/pump-anomaly/1');

/** A version's folder and a key pair. */
function site(kind: ConstructorParameters<typeof TestKey>[0]) {
  const folder = mkdtempSync(join(tmpdir(), 'andon-model-signing-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const version = join(folder, '1');
  cpSync(model, version, { recursive: true });
  writeFileSync(join(version, 'report.md'), '# Good\n');
  const key = new TestKey(kind);
  const privateKey = join(folder, 'key');
  const publicKey = join(folder, 'key.pub');
  writeFileSync(privateKey, key.privatePem);
  writeFileSync(publicKey, key.publicPem);
  return { version, key, privateKey, publicKey, signature: join(version, 'model.sig') };
}

/** Standard output and error, for any exit code. */
async function tool(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('python3', ['-m', 'model_signing', ...args]).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

const ours = (version: string, key: TestKey) => signatureReport(version, key.trusted, 1e9);

describeWith([pythonWith('model_signing', 'model-signing pyopenssl')], 'OpenSSF model signing', () => {
  describe.each(['P-256', 'P-384', 'P-521'] as const)('with a key of %s', (kind) => {
    test('verifies what andon signed, and refuses it after a change', async () => {
      const { version, key, publicKey, signature } = site(kind);
      await key.sign(version);
      const verify = () => tool('verify', 'key', version, '--signature', signature, '--public_key', publicKey);
      expect(await verify()).toContain('Verification succeeded');
      appendFileSync(join(version, 'model.yaml'), '\n');
      expect(await verify()).toMatch(/Hash mismatch for .*model\.yaml/);
    });

    test('signs what andon trusts, and refuses after a change', async () => {
      const { version, key, privateKey, signature } = site(kind);
      const said = await tool('sign', 'key', version, '--signature', signature, '--private_key', privateKey);
      expect(said).toContain('Signing succeeded');
      expect(await ours(version, key)).toMatchObject({ state: 'trusted', key: key.id.slice(0, 16) });
      expect(await ours(version, new TestKey(kind))).toMatchObject({
        reason: expect.stringContaining('not trusted'),
      });
      appendFileSync(join(version, 'report.md'), '!');
      expect(await ours(version, key)).toMatchObject({ reason: expect.stringContaining('was changed after') });
    });
  });

  describe('with an Ed25519 key, and its check of the kind of key taken out,', () => {
    test('verifies what andon signed, and refuses it after a change', async () => {
      const { version, key, publicKey } = site('ed25519');
      await key.sign(version);
      const verify = () => run('python3', [ed25519, 'verify', version, publicKey]);
      expect((await verify()).stdout).toBe('ok\n');
      appendFileSync(join(version, 'model.yaml'), '\n');
      await expect(verify()).rejects.toThrow(/Signature mismatch/);
    });

    test('signs what andon trusts', async () => {
      const { version, key, privateKey } = site('ed25519');
      expect((await run('python3', [ed25519, 'sign', version, privateKey])).stdout).toBe('ok\n');
      expect(await ours(version, key)).toEqual({ state: 'trusted', keyId: key.id, key: key.id.slice(0, 16) });
    });
  });
});
