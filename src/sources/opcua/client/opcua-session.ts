import { readFile } from 'node:fs/promises';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import {
  type ClientSession,
  type EndpointDescription,
  MessageSecurityMode,
  OPCUAClient,
  SecurityPolicy,
  setDebugLogger,
  setErrorLogger,
  setWarningLogger,
  type UserIdentityInfo,
  UserTokenType,
} from 'node-opcua-client';
import { errorMessage, OperatingError } from '../../../platform/errors.ts';
import type { OpcuaSourceConfig } from '../opcua-config.ts';
import { opcuaFailure } from '../opcua-errors.ts';
import type { OpcuaEndpoint, OpcuaUser } from '../opcua-protocol.ts';
import { openPki, type OwnCertificate, ownCertificate } from './pki.ts';

// The library writes to standard output, where a command has its result. Its errors are reported where they occur.
for (const setLogger of [setDebugLogger, setErrorLogger, setWarningLogger]) setLogger(() => undefined);

/** The server deletes a session that sends nothing for this time. */
const SESSION_MS = 60_000;

/** A session with a server, and andon's certificate that it was opened with. */
export type OpcuaSession = AsyncDisposable & {
  readonly session: ClientSession;
  readonly own: OwnCertificate;
};

/**
 * Connects and logs in. It does not reconnect: after `onLost` the session is dead.
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
    throw failureOf(error, endpoint, own);
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

/** Returns the endpoints that a server offers, over a connection without security. @throws {OperatingError} 'opcua-not-reached'. */
export async function readEndpoints(endpoint: OpcuaEndpoint, nowMs: number): Promise<readonly EndpointDescription[]> {
  await using stack = new AsyncDisposableStack();
  const pki = stack.adopt(await openPki(endpoint.pkiFolder), (each) => each.dispose());
  const own = await ownCertificate(pki, endpoint.certificate, nowMs);
  const open = { ...endpoint, security: { policy: 'None', mode: 'sign' } } as const;
  const client = stack.adopt(createClient(open, pki, own), disconnect);
  try {
    await client.connect(endpoint.url);
    return await client.getEndpoints();
  } catch (error) {
    throw opcuaFailure('opcua-not-reached', `${endpoint.url}: ${firstLine(error)}`, { cause: error });
  }
}

/** Returns the endpoint with the security that a configuration demands. */
export function secureEndpoint(
  endpoints: readonly EndpointDescription[],
  security: OpcuaSourceConfig['security'],
): EndpointDescription | undefined {
  const { policy, mode } = librarySecurity(security);
  return endpoints.find((each) => each.securityPolicyUri === policy && each.securityMode === mode);
}

/** Returns the pairs of policy and mode that a server offers, as `security` has them. */
export function offeredSecurity(endpoints: readonly EndpointDescription[]): readonly string[] {
  return endpoints.map(({ securityPolicyUri, securityMode }) => {
    const policy = /[^#]*$/.exec(securityPolicyUri ?? '')?.[0] ?? '';
    if (securityMode === MessageSecurityMode.None) return policy;
    return `${policy} ${securityMode === MessageSecurityMode.Sign ? 'sign' : 'signAndEncrypt'}`;
  });
}

function createClient(endpoint: OpcuaEndpoint, pki: OPCUACertificateManager, own: OwnCertificate): OPCUAClient {
  const { connectTimeoutMs } = endpoint;
  const { policy, mode } = librarySecurity(endpoint.security);
  return OPCUAClient.create({
    applicationName: 'andon',
    applicationUri: own.applicationUri,
    clientName: `andon ${endpoint.source}`,
    // A server behind a gateway or in a container announces another host name than the url has.
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
function failureOf(error: unknown, endpoint: OpcuaEndpoint, own: OwnCertificate): OperatingError {
  if (error instanceof OperatingError) return error;
  const text = errorMessage(error);
  const { url, source } = endpoint;
  const status = /\bBad[A-Z]\w+/.exec(text)?.[0] ?? '';
  const failure = (code: Parameters<typeof opcuaFailure>[0], what: string) =>
    opcuaFailure(code, `${url}: ${what}`, { cause: error });
  if (/server certificate verification failed/i.test(text)) {
    return failure(
      'opcua-server-untrusted',
      status === 'BadCertificateUntrusted' || status === ''
        ? `the server's certificate is not trusted. Compare its thumbprint on the server, then run andon opcua trust ${source}`
        : `the server's certificate is not valid: ${status}`,
    );
  }
  if (LOGIN_REFUSED.test(status)) return failure('opcua-login-refused', `the server refused the login: ${status}`);
  if (CLIENT_REFUSED.test(status))
    return failure(
      'opcua-client-untrusted',
      `the server does not accept andon's certificate (${status}). Trust it in the server: SHA-1 ${own.certificate.fingerprint}, ${own.certificateFile}`,
    );
  if (/Cannot find an Endpoint|End point must exist/i.test(text)) {
    const { policy, mode } = endpoint.security;
    return failure(
      'opcua-security-unsupported',
      `the server does not offer ${policy === 'None' ? policy : `${policy} ${mode}`}`,
    );
  }
  return failure('opcua-not-reached', firstLine(error));
}

const LOGIN_REFUSED = /^Bad(IdentityToken\w*|UserAccessDenied|UserSignatureInvalid)$/;
const CLIENT_REFUSED = /^Bad(SecurityChecksFailed|Certificate\w*|ApplicationSignatureInvalid)$/;

/** The library's messages have several lines, with advice for programmers. */
function firstLine(error: unknown): string {
  const text = errorMessage(error);
  const cause = /\berr = ?\((.*)\)/i.exec(text)?.[1] ?? /\(err = ?(.*)\)/i.exec(text)?.[1];
  return cause ?? text.split('\n')[0]?.trim() ?? text;
}
