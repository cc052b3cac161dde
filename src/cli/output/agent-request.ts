import { commandFailure } from '../../app/command-errors.ts';
import { X509Certificate } from 'node:crypto';
import { Agent, type Dispatcher, request } from 'undici';
import * as z from 'zod';
import { formatDuration } from '../../domain/duration.ts';
import type { HttpConfig } from '../../http/http-config.ts';
import { errorJson } from '../../web/http-errors.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { readSecret, type SecretReference } from '../../platform/config-fields.ts';
import { readPem } from '../../platform/tls-files.ts';
import type { AgentConfig } from '../../config/config-schema.ts';
import { LOCAL_USER_HEADER } from '../../web/access/access-control.ts';
import { localTokenOwner, readLocalToken } from '../../web/access/local-token.ts';
import { commandUser } from './command-user.ts';
import { listenersOf } from './port-owner.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** The running agent, for the commands on its box. */
export type RunningAgentAddress = {
  readonly url: string;
  readonly token: string | undefined;
  /** Certificate that the agent must have; undefined for clear text, or for an authority that the system knows. */
  readonly certificate: Buffer | undefined;
};

/** Sections that decide where an agent listens and where its token is. */
type AddressConfig = {
  readonly http: Pick<HttpConfig, 'listen' | 'tls' | 'token'>;
  readonly outbox: Pick<AgentConfig['outbox'], 'path'>;
};

/** A request other than a GET. */
export type AgentRequest = {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** Sent as JSON. */
  readonly body?: object;
  /** Sent as they are. */
  readonly bytes?: Uint8Array;
  /** Deadline, the body included. Default: 5 s. */
  readonly timeoutMs?: number;
};

/**
 * Returns the address and the token of the agent of a configuration. The token is the local one, or `http.token` if this
 * Unix user may not read that, or none.
 *
 * @param url Another address. It gets no token of this configuration.
 */
export function agentOf({ http, outbox }: AddressConfig, url?: string): RunningAgentAddress {
  const own = agentUrl(http);
  if (url !== undefined && !isSameOrigin(url, own)) return { url, token: undefined, certificate: undefined };
  const certificate = http.tls === undefined ? undefined : readPem(http.tls.cert);
  // The certificate proves who listens. Without one, another user may have taken the port.
  const isProved = certificate !== undefined || isOwnListener(Number(new URL(own).port), outbox.path);
  const token = isProved ? (readLocalToken(outbox.path) ?? secretOf(http.token)) : undefined;
  return { url: own, token, certificate };
}

function isSameOrigin(a: string, b: string): boolean {
  return URL.parse(a)?.origin === URL.parse(b)?.origin;
}

/** Returns true if only root and the owner of the state folder listen on the port. */
function isOwnListener(port: number, outboxPath: string): boolean {
  const listeners = listenersOf(port);
  const owner = localTokenOwner(outboxPath);
  return listeners === undefined || [...listeners].every((uid) => uid === 0 || uid === owner);
}

function secretOf(reference: SecretReference | undefined): string | undefined {
  try {
    return reference === undefined ? undefined : readSecret(reference);
  } catch {
    // Another Unix user: health needs no token.
    return undefined;
  }
}

/** Sends a request to the running agent, a GET unless another is given, and returns the JSON. */
export async function askAgent(agent: RunningAgentAddress, path: string, sent?: AgentRequest): Promise<unknown> {
  const { statusCode, statusText, body: answer } = await getFromAgent(agent, path, sent);
  if (statusCode >= 200 && statusCode < 300) return answer.json();
  const { error = statusText } = errorJson
    .partial()
    .catch({})
    .parse(await answer.json().catch(() => undefined));
  throw new Error(`it answered ${statusCode} ${error}`.trimEnd());
}

/** Sends a request to an agent, as `askAgent`. Redirects are not followed. */
export function getFromAgent(
  { url, token, certificate }: RunningAgentAddress,
  path: string,
  sent?: AgentRequest,
): Promise<Dispatcher.ResponseData> {
  const { body, bytes, timeoutMs = ANSWER_TIMEOUT_MS } = sent ?? {};
  return request(new URL(path, url), {
    method: sent?.method ?? 'GET',
    body: body === undefined ? (bytes ?? null) : JSON.stringify(body),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}`, [LOCAL_USER_HEADER]: commandUser() }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(bytes === undefined ? {} : { 'content-type': 'application/octet-stream' }),
    },
    signal: AbortSignal.timeout(timeoutMs),
    ...(certificate === undefined ? {} : { dispatcher: pinned(certificate) }),
  });
}

/** Accepts exactly this certificate. Its names need not contain the loopback address. */
function pinned(certificate: Buffer): Dispatcher {
  const expected = new X509Certificate(certificate).fingerprint256;
  return new Agent({
    connect: {
      ca: certificate,
      allowPartialTrustChain: true,
      checkServerIdentity: (_host, { fingerprint256 }) =>
        fingerprint256 === expected ? undefined : new Error('the agent has another certificate than http.tls.cert'),
    },
  });
}

/** Nothing listens at the address of the agent. */
export function isRefusedConnection(error: unknown): boolean {
  return errorCode(error) === 'ECONNREFUSED';
}

/** The reason why `askAgent` or `getFromAgent` failed. */
export function requestFault(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return `no answer within ${formatDuration(ANSWER_TIMEOUT_MS)}`;
  return isRefusedConnection(error) ? 'it refused the connection' : errorMessage(error);
}

/** @throws {OperatingError} 'agent-not-reached' with the reason, always. */
export function agentNotReached(url: string, error: unknown): never {
  const reason = error instanceof z.ZodError ? 'the answer is not from an andon agent' : requestFault(error);
  const advice = 'Check that it runs and that http.listen is this address, or give its address with --url.';
  throw commandFailure('agent-not-reached', `No agent answers at ${url}: ${reason}. ${advice}`, {
    cause: error,
  });
}

/** Sends a request as `askAgent` does, and parses the answer. @throws {OperatingError} 'agent-not-reached' with the reason. */
export async function queryAgent<Answer>(
  agent: RunningAgentAddress,
  path: string,
  schema: z.ZodType<Answer>,
  sent?: AgentRequest,
): Promise<Answer> {
  try {
    return schema.parse(await askAgent(agent, path, sent));
  } catch (error) {
    return agentNotReached(agent.url, error);
  }
}

/** The address of the agent of a configuration, for a client on this machine. */
export function agentUrl(http: AddressConfig['http']): string {
  const address = listenAddress(http.listen);
  const scheme = http.tls === undefined ? 'http' : 'https';
  if (address === undefined) return `${scheme}://${http.listen}`;
  // An agent that listens on all addresses is reached at the loopback address.
  const host = ['0.0.0.0', '::'].includes(address.host) ? '127.0.0.1' : address.host;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
