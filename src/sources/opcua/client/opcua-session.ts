import { readFile } from 'node:fs/promises';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import {
  type ClientSession,
  MessageSecurityMode,
  OPCUAClient,
  SecurityPolicy,
  type UserIdentityInfo,
  UserTokenType,
} from 'node-opcua-client';
import { errorMessage, OperatingError } from '../../../platform/errors.ts';
import type { OpcuaSourceConfig } from '../opcua-config.ts';
import { opcuaFailure } from '../opcua-errors.ts';
import type { OpcuaEndpoint, OpcuaUser } from '../opcua-protocol.ts';
import { openPki, type OwnCertificate, ownCertificate } from './pki.ts';

/** The server deletes a session that it does not hear from for this long. */
const SESSION_MS = 60_000;

/** A session with a server, and andon's certificate that it was opened with. */
export type OpcuaSession = AsyncDisposable & {
  readonly session: ClientSession;
  readonly own: OwnCertificate;
};

/**
 * Connects and logs in. There is no reconnection: after `onLost` the session is dead.
 *
 * @param nowMs Epoch time.
 * @param onLost Called once if the connection ends before the disposal, with the reason.
 * @throws {OperatingError} One of `opcuaErrors`.
 */
export async function openSession(
  endpoint: OpcuaEndpoint,
  nowMs: number,
  onLost: (reason: string) => void,
): Promise<OpcuaSession> {
  await using stack = new AsyncDisposableStack();
  const pki = stack.adopt(await openPki(endpoint.pkiFolder), (each) => each.dispose());
  const own = await ownCertificate(pki, endpoint.certificate, nowMs);
  const client = stack.adopt(createClient(endpoint, pki, own), disconnect);
  let isOver = false;
  const lost = (reason: string) => {
    if (!isOver) onLost(reason);
    isOver = true;
  };
  let session: ClientSession;
  try {
    await client.connect(endpoint.url);
    session = await client.createSession(await identity(endpoint.user));
  } catch (error) {
    isOver = true;
    throw failureOf(error, endpoint, client, own);
  }
  for (const event of ['connection_lost', 'start_reconnection', 'abort', 'close'] as const)
    client.on(event, () => lost('The connection to the server was lost'));
  session.on('session_closed', (status) => lost(`The server closed the session: ${status.name}`));
  stack.defer(() => {
    isOver = true;
  });
  const resources = stack.move();
  return { session, own, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

function createClient(endpoint: OpcuaEndpoint, pki: OPCUACertificateManager, own: OwnCertificate): OPCUAClient {
  const { connectTimeoutMs } = endpoint;
  const { policy, mode } = librarySecurity(endpoint.security);
  return OPCUAClient.create({
    applicationName: 'andon',
    applicationUri: own.applicationUri,
    clientName: `andon ${endpoint.source}`,
    // A server behind a gateway or in a container announces another host name than that of the url.
    endpointMustExist: false,
    clientCertificateManager: pki,
    certificateFile: own.certificateFile,
    privateKeyFile: own.privateKeyFile,
    securityPolicy: policy,
    securityMode: mode,
    // The agent reconnects, with a new client.
    connectionStrategy: { maxRetry: 0 },
    transportTimeout: connectTimeoutMs,
    defaultTransactionTimeout: connectTimeoutMs,
    requestedSessionTimeout: SESSION_MS,
  });
}

function librarySecurity({ policy, mode }: OpcuaSourceConfig['security']) {
  if (policy === 'None') return { policy: SecurityPolicy.None, mode: MessageSecurityMode.None };
  return {
    policy: SecurityPolicy[policy],
    mode: mode === 'sign' ? MessageSecurityMode.Sign : MessageSecurityMode.SignAndEncrypt,
  };
}

async function disconnect(client: OPCUAClient): Promise<void> {
  // Also closes the session. A client that never connected, or whose peer is gone, may refuse.
  await client.disconnect().catch(() => undefined);
}

async function identity(user: OpcuaUser): Promise<UserIdentityInfo> {
  switch (user.kind) {
    case 'anonymous':
      return { type: UserTokenType.Anonymous };
    case 'password':
      return { type: UserTokenType.UserName, userName: user.name, password: user.password };
    case 'certificate':
      try {
        const certificate = new X509Certificate(await readFile(user.cert));
        const key = createPrivateKey(await readFile(user.key)).export({ type: 'pkcs8', format: 'pem' });
        return {
          type: UserTokenType.Certificate,
          certificateData: certificate.raw,
          privateKey: String(key),
        };
      } catch (error) {
        throw opcuaFailure('opcua-certificate-unreadable', `userCertificate: ${errorMessage(error)}`, { cause: error });
      }
  }
}

/** Describes a failed connection for an operator. The library reports most causes as text only. */
function failureOf(error: unknown, endpoint: OpcuaEndpoint, client: OPCUAClient, own: OwnCertificate): OperatingError {
  if (error instanceof OperatingError) return error;
  const text = errorMessage(error);
  const { url, source } = endpoint;
  const status = /\bBad[A-Z]\w+/.exec(text)?.[0] ?? '';
  const failure = (code: Parameters<typeof opcuaFailure>[0], what: string) =>
    opcuaFailure(code, `${url}: ${what}`, { cause: error });
  if (/server certificate verification failed/i.test(text)) {
    const thumbprint = thumbprintOf(client.serverCertificate);
    return status === 'BadCertificateUntrusted' || status === ''
      ? failure(
          'opcua-server-untrusted',
          `the server's certificate (SHA-1 ${thumbprint}) is not trusted. Compare it with that of the server and run andon opcua trust ${source}`,
        )
      : failure('opcua-server-untrusted', `the server's certificate (SHA-1 ${thumbprint}) is not valid: ${status}`);
  }
  if (LOGIN_REFUSED.test(status)) return failure('opcua-login-refused', `the server refused the login: ${status}`);
  if (CLIENT_REFUSED.test(status))
    return failure(
      'opcua-client-untrusted',
      `the server does not accept andon's certificate (${status}). Trust it in the server: SHA-1 ${own.certificate.fingerprint}, ${own.certificateFile}`,
    );
  if (/endpoint/i.test(text) && /matching|find|securit/i.test(text)) {
    const { policy, mode } = endpoint.security;
    return failure('opcua-security-unsupported', `the server does not offer ${policy} ${mode}`);
  }
  return failure('opcua-not-reached', firstLine(error));
}

const LOGIN_REFUSED = /^Bad(IdentityToken\w*|UserAccessDenied|UserSignatureInvalid)$/;
const CLIENT_REFUSED = /^Bad(SecurityChecksFailed|Certificate\w*|ApplicationSignatureInvalid)$/;

/** SHA-1, as OPC UA tools show it. */
function thumbprintOf(certificate: Uint8Array | Uint8Array[] | undefined): string {
  const first = Array.isArray(certificate) ? certificate[0] : certificate;
  return first === undefined ? 'unknown' : new X509Certificate(first).fingerprint;
}

/** The library's messages have several lines, with advice for programmers. */
function firstLine(error: unknown): string {
  const text = errorMessage(error);
  const cause = /Err = \((.*)\)/.exec(text)?.[1];
  return cause ?? text.split('\n')[0]?.trim() ?? text;
}
