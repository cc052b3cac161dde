import { formatDuration } from '../../domain/duration.ts';
import type { HttpConfig } from '../../http/http-config.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** Sends a GET to the running agent, with the token and the address of its configuration, and returns the JSON. */
export async function askAgent(http: HttpConfig, path: string, url = agentUrl(http)): Promise<unknown> {
  const headers: Record<string, string> =
    http.token === undefined ? {} : { authorization: `Bearer ${readSecret(http.token)}` };
  const answer = await fetch(new URL(path, url), { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`it answered ${answer.status} ${answer.statusText}`.trimEnd());
  return answer.json();
}

/** Nothing listens at the address of the agent. */
export function isRefusedConnection(error: unknown): boolean {
  return error instanceof Error && errorCode(error.cause) === 'ECONNREFUSED';
}

/** The reason why `askAgent` failed. `fetch` itself reports only 'fetch failed'; the reason is its cause. */
export function requestFault(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof DOMException && cause.name === 'TimeoutError')
    return `no answer within ${formatDuration(ANSWER_TIMEOUT_MS)}`;
  return isRefusedConnection(error) ? 'it refused the connection' : errorMessage(cause);
}

/** The address of the agent of a configuration, for a client on this machine. */
export function agentUrl(http: HttpConfig): string {
  const address = listenAddress(http.listen);
  if (address === undefined) return `http://${http.listen}`;
  // An agent that listens on all addresses is reached at the loopback address.
  const host = address.loopback ? address.host : '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
