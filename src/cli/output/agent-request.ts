import { type Dispatcher, request } from 'undici';
import * as z from 'zod';
import { formatDuration } from '../../domain/duration.ts';
import type { HttpConfig } from '../../http/http-config.ts';
import { errorJson } from '../../web/http-errors.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Sends a request to the running agent, with the token and the address of its configuration, and returns the JSON.
 *
 * @param body Sent with POST; undefined sends a GET.
 */
export async function askAgent(http: HttpConfig, path: string, url = agentUrl(http), body?: object): Promise<unknown> {
  const token = http.token === undefined ? undefined : readSecret(http.token);
  const { statusCode, statusText, body: answer } = await getFromAgent(new URL(path, url), token, body);
  if (statusCode >= 200 && statusCode < 300) return answer.json();
  const { error = statusText } = errorJson
    .partial()
    .catch({})
    .parse(await answer.json().catch(() => undefined));
  throw new Error(`it answered ${statusCode} ${error}`.trimEnd());
}

/** Sends a request to an agent, as `askAgent`. The deadline of 5 s includes the body; redirects are not followed. */
export function getFromAgent(url: URL, token: string | undefined, body?: object): Promise<Dispatcher.ResponseData> {
  return request(url, {
    method: body === undefined ? 'GET' : 'POST',
    body: body === undefined ? null : JSON.stringify(body),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
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
  throw new OperatingError('agent-not-reached', 'retry', `No agent answers at ${url}: ${reason}. ${advice}`, {
    cause: error,
  });
}

/** Sends a request as `askAgent` does, and parses the answer. @throws {OperatingError} 'agent-not-reached' with the reason. */
export async function queryAgent<Answer>(
  http: HttpConfig,
  path: string,
  schema: z.ZodType<Answer>,
  url = agentUrl(http),
  body?: object,
): Promise<Answer> {
  try {
    return schema.parse(await askAgent(http, path, url, body));
  } catch (error) {
    return agentNotReached(url, error);
  }
}

/** The address of the agent of a configuration, for a client on this machine. */
export function agentUrl(http: HttpConfig): string {
  const address = listenAddress(http.listen);
  if (address === undefined) return `http://${http.listen}`;
  // An agent that listens on all addresses is reached at the loopback address.
  const host = address.loopback ? address.host : '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
