import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { configObject, readSecret, type SecretReference, secretReference } from './config-fields.ts';
import { errorCode, errorMessage } from './errors.ts';
import { fileVersion } from './plain-file.ts';

/** Path of a PEM file, a secret that holds the PEM text, or the text itself. */
export type PemSource = string | SecretReference | { readonly pem: string };

/** Certificates and key of a TLS connection. Read again for each connection, so that a renewed certificate applies. */
export type TlsFiles = {
  readonly ca?: PemSource | undefined;
  readonly cert?: PemSource | undefined;
  readonly key?: PemSource | undefined;
};

/** Path of a PEM file, or a secret that holds its text. */
export const pemSource = z.union([z.string().min(1), secretReference], {
  error: 'expected a path, { file: PATH } or { env: NAME }',
});

const pemField = (description: string) => pemSource.optional().describe(description);

/** Schema of the section `tls`. @param peer Other end of the connection: `the broker`. */
export function tlsSchema(peer: string) {
  return configObject({
    ca: pemField(`PEM file with the certificate authority of ${peer}, or a secret that holds its text`),
    cert: pemField('PEM file with the client certificate of the agent, or a secret that holds its text'),
    key: pemField('PEM file with the private key of cert, or a secret that holds its text'),
  }).refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: 'cert and key must be set together',
  });
}

/**
 * Reads the files, as options of `node:tls`.
 * @throws {TlsFileError} A file cannot be read. {OperatingError} 'secret-missing'.
 */
export function readTlsFiles({ ca, cert, key }: TlsFiles): Partial<Record<'ca' | 'cert' | 'key', Buffer>> {
  return {
    ...(ca === undefined ? {} : { ca: readPem(ca) }),
    ...(cert === undefined ? {} : { cert: readPem(cert) }),
    ...(key === undefined ? {} : { key: readPem(key) }),
  };
}

/** @throws {TlsFileError} A file cannot be read. {OperatingError} 'secret-missing'. */
export function readPem(source: PemSource): Buffer {
  if (typeof source !== 'string') return Buffer.from('pem' in source ? source.pem : readSecret(source));
  try {
    return readFileSync(source);
  } catch (error) {
    throw new TlsFileError(`The TLS file ${source} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}

/** Returns why a file cannot be used; undefined if it can, or if only the agent may read it. */
export function pemProblem(source: PemSource, content: 'certificate' | 'key'): string | undefined {
  let pem: Buffer;
  try {
    pem = readPem(source);
  } catch (error) {
    // Secrets are there for the service only, and the command that checks may be one of another Unix user.
    return error instanceof TlsFileError && errorCode(error.cause) !== 'EACCES' ? errorMessage(error) : undefined;
  }
  return isPem(pem, content) ? undefined : `expected a ${content} in PEM form, which begins with -----BEGIN`;
}

function isPem(pem: Buffer, content: 'certificate' | 'key'): boolean {
  if (content === 'key') return pem.includes('PRIVATE KEY-----');
  try {
    return pem.includes('-----BEGIN ') && new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/** Returns a text that differs after a change of one of the files. */
export function tlsVersion({ ca, cert, key }: TlsFiles): string {
  return [ca, cert, key].map(pemVersion).join(' ');
}

function pemVersion(source: PemSource | undefined): string {
  const path = typeof source === 'object' && 'file' in source ? source.file : source;
  return typeof path === 'string' ? fileVersion(path) : '';
}

/** A certificate or key cannot be read. It may be mounted later. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}
