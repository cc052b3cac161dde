// oxlint-disable-next-line no-unassigned-import -- The library needs the polyfill before it is loaded.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { EpochMs } from '../../domain/epoch-ms.ts';

const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
/** Longest validity that browsers accept. */
const CERTIFICATE_DAYS = 397;
/** Clocks of clients may be slow. */
const BEFORE_MS = DAY_MS;
const SERIAL_BYTES = 16;

/** Certificate with its private key, as PEM. */
export type IssuedCertificate = { readonly certificate: string; readonly key: string; readonly notAfter: Date };

/** A certificate authority for the endpoints of one box (ECDSA P-256). */
export class CertificateAuthority {
  readonly #certificate: x509.X509Certificate;
  readonly #privateKey: webcrypto.CryptoKey;

  private constructor(certificate: x509.X509Certificate, privateKey: webcrypto.CryptoKey) {
    this.#certificate = certificate;
    this.#privateKey = privateKey;
  }

  /** Makes an authority with a new key, valid for ten years. */
  static async make(agentId: string, nowMs: EpochMs): Promise<CertificateAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: [{ CN: [`andon ${agentId} authority`] }],
      ...validity(nowMs, AUTHORITY_DAYS),
      signingAlgorithm: KEY,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(certificate, keys.privateKey);
  }

  /** @throws {Error} The texts are not PEM of a certificate and its key. */
  static async read(certificate: string, key: string): Promise<CertificateAuthority> {
    const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
    const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, KEY, true, ['sign']);
    return new CertificateAuthority(new x509.X509Certificate(certificate), privateKey);
  }

  /** Certificate as PEM. */
  get pem(): string {
    return `${this.#certificate.toString('pem')}\n`;
  }

  /** Private key as PEM. */
  key(): Promise<string> {
    return privatePem(this.#privateKey);
  }

  /** Makes a server certificate with a new key, valid for 397 days. @param names Host names and IP addresses. */
  async certificateFor(names: readonly string[], nowMs: EpochMs): Promise<IssuedCertificate> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ CN: [names[0] ?? 'andon'] }],
      issuer: this.#certificate.subjectName,
      ...validity(nowMs, CERTIFICATE_DAYS),
      signingAlgorithm: KEY,
      publicKey: keys.publicKey,
      signingKey: this.#privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return {
      certificate: `${certificate.toString('pem')}\n`,
      key: await privatePem(keys.privateKey),
      notAfter: certificate.notAfter,
    };
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
}

function validity(nowMs: EpochMs, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - BEFORE_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Positive, as RFC 5280 requires. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return bytes.toString('hex');
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return String(
    createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }),
  );
}
