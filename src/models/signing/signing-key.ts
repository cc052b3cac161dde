import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';

/** Digits of a key id that are displayed, of 64. */
const SHORT_ID_LENGTH = 16;

type Key = {
  /** SHA-256 of the PEM (SPKI) of the public key, 64 hexadecimal digits, as in OpenSSF model signing. */
  readonly id: string;
  readonly key: KeyObject;
  /** Hash algorithm; undefined for Ed25519, which signs the bytes themselves. */
  readonly hash: string | undefined;
};

export type VerifyingKey = Key & { readonly kind: 'public' };
export type SigningKey = Key & { readonly kind: 'private' };

/** Curves of the method `key`, by their names in Node, with the hash algorithm of each. */
const curveHashes: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'sha256'],
  ['secp384r1', 'sha384'],
  ['secp521r1', 'sha512'],
]);

/**
 * Reads one public key: PEM, SPKI, Ed25519 or ECDSA on P-256, P-384 or P-521.
 *
 * @param name Name of the key in messages: its file.
 * @throws {OperatingError} 'signing-key-invalid'.
 */
export function parsePublicKey(pem: string, name: string): VerifyingKey {
  const labels = pemLabels(pem);
  if (labels.some((label) => label.endsWith('PRIVATE KEY')))
    throw keyFailure(
      `${name} is a private key. Use its public key here (.pub), and keep the private key where models are signed`,
    );
  if (labels.length !== 1 || labels[0] !== 'PUBLIC KEY')
    throw keyFailure(`${name} is not one public key in PEM: expected -----BEGIN PUBLIC KEY-----, ${found(labels)}`);
  try {
    return { ...keyOf(createPublicKey(pem), name), kind: 'public' };
  } catch (error) {
    throw unreadable(name, error);
  }
}

/**
 * Reads a private key: PEM, PKCS#8 (or SEC 1, as `openssl ecparam` writes it), of the same kinds.
 *
 * @param name Name of the key in messages: its file.
 * @throws {OperatingError} 'signing-key-invalid'.
 */
export function parsePrivateKey(pem: string, name: string, passphrase: string | undefined): SigningKey {
  const labels = pemLabels(pem).filter((label) => label !== 'EC PARAMETERS');
  if (labels.length !== 1 || labels[0]?.endsWith('PRIVATE KEY') !== true)
    throw keyFailure(`${name} is not one private key in PEM: expected -----BEGIN PRIVATE KEY-----, ${found(labels)}`);
  if (passphrase === undefined && pem.includes('ENCRYPTED'))
    throw keyFailure(`${name} is encrypted. Give its passphrase with --passphrase-file FILE`);
  try {
    const key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
    return { ...keyOf(key, name), kind: 'private' };
  } catch (error) {
    throw unreadable(name, error, passphrase === undefined ? '' : '. Check the passphrase');
  }
}

/** Creates an Ed25519 key pair in PEM. */
export function generateKeyPair(passphrase: string | undefined): {
  readonly privatePem: string;
  readonly publicPem: string;
} {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString(),
    publicPem: publicPem(publicKey),
  };
}

/** Returns a signature, for ECDSA in ASN.1 DER. */
export function signBytes({ key, hash }: SigningKey, bytes: Uint8Array): Uint8Array {
  return sign(hash, bytes, key);
}

export function verifyBytes({ key, hash }: VerifyingKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify(hash, bytes, key, signature);
}

export function shortKeyId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}

function keyOf(key: KeyObject, name: string): Key {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails } = key;
  const curve = asymmetricKeyDetails?.namedCurve;
  const hash = type === 'ec' ? curveHashes.get(curve) : undefined;
  if (type !== 'ed25519' && hash === undefined)
    throw keyFailure(`${name} is a key of type ${curve ?? type}, expected Ed25519, or ECDSA on P-256, P-384 or P-521`);
  const pem = publicPem(key.type === 'public' ? key : createPublicKey(key));
  return { id: createHash('sha256').update(pem).digest('hex'), key, hash };
}

function publicPem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** Returns the labels of the PEM blocks in a text, such as `PUBLIC KEY`. */
function pemLabels(text: string): readonly string[] {
  return [...text.matchAll(/^-----BEGIN ([A-Z0-9 ]+)-----/gm)].map(([, label = '']) => label);
}

function found(labels: readonly string[]): string {
  return labels.length === 0 ? 'found none' : `found ${labels.join(', ')}`;
}

function keyFailure(message: string): OperatingError {
  return inferenceFailure('signing-key-invalid', message);
}

function unreadable(name: string, error: unknown, hint = ''): OperatingError {
  if (error instanceof OperatingError) return error;
  return inferenceFailure('signing-key-invalid', `${name} cannot be read as a key: ${errorMessage(error)}${hint}`, {
    cause: error,
  });
}
