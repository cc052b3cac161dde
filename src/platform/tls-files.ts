import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { configObject, readSecret, type SecretReference, secretReference } from './config-fields.ts';
import { errorMessage } from './errors.ts';

/** Path of a PEM file, or a secret that holds the PEM text. */
export type PemSource = string | SecretReference;

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

const pem = (description: string) => pemSource.optional().describe(description);

/** Schema of the section `tls`. @param peer Other end of the connection: `the broker`. */
export function tlsSchema(peer: string) {
  return configObject({
    ca: pem(`PEM file with the certificate authority of ${peer}, or a secret that holds its text`),
    cert: pem('PEM file with the client certificate of the agent, or a secret that holds its text'),
    key: pem('PEM file with the private key of cert, or a secret that holds its text'),
  }).refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: 'cert and key must be set together',
  });
}

/**
 * Reads the files, as options of `node:tls`.
 * @throws {Error} A file cannot be read. {OperatingError} 'secret-missing'.
 */
export function readTlsFiles({ ca, cert, key }: TlsFiles): Partial<Record<'ca' | 'cert' | 'key', Buffer>> {
  return {
    ...(ca === undefined ? {} : { ca: readPem(ca) }),
    ...(cert === undefined ? {} : { cert: readPem(cert) }),
    ...(key === undefined ? {} : { key: readPem(key) }),
  };
}

/** @throws {Error} A file cannot be read. {OperatingError} 'secret-missing'. */
export function readPem(source: PemSource): Buffer {
  if (typeof source !== 'string') return Buffer.from(readSecret(source));
  try {
    return readFileSync(source);
  } catch (error) {
    throw new Error(`The TLS file ${source} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
