import { X509Certificate } from 'node:crypto';
import { chown, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import { errorCode, errorMessage } from '../../../platform/errors.ts';
import type { OpcuaSourceConfig } from '../opcua-config.ts';
import { opcuaFailure } from '../opcua-errors.ts';

const VALID_DAYS = 5 * 365;

/** andon's application certificate, as it presents it to servers. */
export type OwnCertificate = {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  /** In the certificate; servers compare it with the URI of the session. */
  readonly applicationUri: string;
  readonly certificate: X509Certificate;
};

/**
 * Opens the folder with the trusted certificates. It is read now: open it again to see later changes.
 *
 * No certificate is trusted automatically; an unknown one is copied to `rejected`.
 */
export async function openPki(folder: string): Promise<OPCUACertificateManager> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pki = new OPCUACertificateManager({
    rootFolder: folder,
    automaticallyAcceptUnknownCertificate: false,
    disableFileWatchers: true,
  });
  await pki.initialize();
  await shareWithOwner(folder);
  return pki;
}

/**
 * Returns the application certificate: the configured one, or andon's own, which is made the first time.
 *
 * @param renew Replaces andon's own certificate. The key stays.
 * @throws {OperatingError} 'opcua-certificate-unreadable' (reject).
 */
export async function ownCertificate(
  pki: OPCUACertificateManager,
  configured: OpcuaSourceConfig['certificate'],
  nowMs: number,
  renew = false,
): Promise<OwnCertificate> {
  if (configured !== undefined) return readOwn(configured.cert, configured.key);
  const folder = pki.rootDir;
  const certificateFile = join(folder, 'own/certs/andon.pem');
  if (renew || !(await exists(certificateFile))) {
    await rm(certificateFile, { force: true });
    const name = hostname();
    await pki.createSelfSignedCertificate({
      applicationUri: `urn:${name}:andon`,
      dns: [name],
      // A server whose clock is behind must not find the certificate not yet valid.
      startDate: new Date(nowMs - 24 * 3_600_000),
      validity: VALID_DAYS,
      subject: `/CN=andon@${name}/O=andon`,
      outputFile: certificateFile,
    });
    await shareWithOwner(folder);
  }
  return readOwn(certificateFile, pki.privateKey);
}

async function readOwn(certificateFile: string, privateKeyFile: string): Promise<OwnCertificate> {
  try {
    const certificate = new X509Certificate(await readFile(certificateFile));
    const applicationUri = /(?:^|, )URI:([^,]+)/.exec(certificate.subjectAltName ?? '')?.[1];
    await readFile(privateKeyFile);
    if (applicationUri !== undefined) return { certificateFile, privateKeyFile, applicationUri, certificate };
  } catch (error) {
    throw opcuaFailure('opcua-certificate-unreadable', `${certificateFile}: ${errorMessage(error)}`, { cause: error });
  }
  throw opcuaFailure('opcua-certificate-unreadable', `${certificateFile} has no URI as subject alternative name`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Files that a command of root makes belong to the owner of the state folder: the agent runs as that user. */
async function shareWithOwner(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(folder));
  const entries = await readdir(folder, { recursive: true });
  for (const path of [folder, ...entries.map((entry) => join(folder, entry))])
    // Another process may have removed a temporary file.
    await chown(path, uid, gid).catch(() => undefined);
}
