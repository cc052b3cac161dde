import { X509Certificate } from 'node:crypto';
import { opcuaFailure } from '../opcua-errors.ts';
import type { OpcuaEndpoint } from '../opcua-protocol.ts';
import { offeredSecurity, readEndpoints, secureEndpoint } from './opcua-session.ts';
import { openPki } from './pki.ts';

/** The certificate of a server. `isTrusted` is true if andon trusts it already. */
export type ServerCertificate = { readonly certificate: X509Certificate; readonly isTrusted: boolean };

/**
 * Reads the certificate that a server presents for the configured security.
 *
 * @throws {OperatingError} 'opcua-not-reached' (retry); 'opcua-security-unsupported' (reject).
 */
export async function readServerCertificate(endpoint: OpcuaEndpoint, nowMs: number): Promise<ServerCertificate> {
  const endpoints = await readEndpoints(endpoint, nowMs);
  const { url, security } = endpoint;
  const found = secureEndpoint(endpoints, security)?.serverCertificate;
  if (found === undefined || found === null || found.length === 0)
    throw opcuaFailure(
      'opcua-security-unsupported',
      `${url} does not offer ${security.policy} ${security.mode}; it offers ${offeredSecurity(endpoints).join(', ') || 'nothing'}`,
    );
  const pki = await openPki(endpoint.pkiFolder);
  try {
    const isTrusted = (await pki.isCertificateTrusted(found)) === 'Good';
    return { certificate: new X509Certificate(found), isTrusted };
  } finally {
    await pki.dispose();
  }
}

/** Trusts a certificate from now on. An agent that runs uses it for its next connection. */
export async function trustServer(pkiFolder: string, certificate: X509Certificate): Promise<void> {
  const pki = await openPki(pkiFolder);
  try {
    await pki.trustCertificate(certificate.raw);
  } finally {
    await pki.dispose();
  }
  // The new file belongs to the agent, too.
  const again = await openPki(pkiFolder);
  await again.dispose();
}
