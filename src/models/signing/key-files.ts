import { constants } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { generateKeyPair, parsePrivateKey, parsePublicKey, type SigningKey, type VerifyingKey } from './signing-key.ts';

/** A key has some hundred bytes. */
const KEY_BYTES_MAX = 16_384;
/** Access rights of group and others. */
const OTHERS_ACCESS = 0o077;

/**
 * Reads a private key. `exposed` is true if other users than the owner have access to the file.
 *
 * @throws {OperatingError} 'signing-key-invalid'
 */
export async function readPrivateKey(
  path: string,
  passphrase: string | undefined,
): Promise<{ readonly key: SigningKey; readonly exposed: boolean }> {
  const { text, exposed } = await readKeyText(path);
  return { key: parsePrivateKey(text, path, passphrase), exposed };
}

/** @throws {OperatingError} 'signing-key-invalid' if the file is missing, too large for a key, or not readable. */
export async function readKeyText(path: string): Promise<{ readonly text: string; readonly exposed: boolean }> {
  try {
    // O_NONBLOCK: a pipe without a writer must not block the start.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = await file.stat();
    if (!status.isFile()) throw inferenceFailure('signing-key-invalid', `${path} is not a plain file`);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(KEY_BYTES_MAX + 1));
    if (bytesRead > KEY_BYTES_MAX)
      throw inferenceFailure(
        'signing-key-invalid',
        `${path} has more than ${KEY_BYTES_MAX} bytes, the limit for a key`,
      );
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    return { text, exposed: (status.mode & OTHERS_ACCESS) !== 0 };
  } catch (error) {
    if (errorCode(error) === 'signing-key-invalid') throw error;
    const reason = errorCode(error) === 'ENOENT' ? 'there is no such file' : errorMessage(error);
    throw inferenceFailure('signing-key-invalid', `${path}: ${reason}`, { cause: error });
  }
}

/**
 * Creates an Ed25519 key pair: the private key at `path` (0600), the public key at `path` with `.pub` appended. Existing
 * files are not replaced.
 *
 * @throws {OperatingError} 'signing-key-not-written'
 */
export async function writeKeyPair(
  path: string,
  passphrase: string | undefined,
): Promise<{ readonly publicPath: string; readonly key: VerifyingKey }> {
  const { privatePem, publicPem } = generateKeyPair(passphrase);
  const publicPath = `${path}.pub`;
  await writeNew(publicPath, publicPem, 0o644);
  try {
    await writeNew(path, privatePem, 0o600);
  } catch (error) {
    await rm(publicPath, { force: true });
    throw error;
  }
  return { publicPath, key: parsePublicKey(publicPem, publicPath) };
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(path, text, { mode, flag: 'wx', flush: true });
  } catch (error) {
    const reason = errorCode(error) === 'EEXIST' ? 'exists, and a key is never overwritten' : errorMessage(error);
    throw inferenceFailure('signing-key-not-written', `${path}: ${reason}`, { cause: error });
  }
}
