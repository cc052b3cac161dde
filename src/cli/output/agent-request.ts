import type { HttpConfig } from '../../http/http-config.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { readSecret } from '../../platform/config-fields.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** The running agent's answer to a GET, with the token and at the address of its configuration. */
export async function askAgent(http: HttpConfig, path: string, url = agentUrl(http)): Promise<unknown> {
  const headers: Record<string, string> =
    http.token === undefined ? {} : { authorization: `Bearer ${readSecret(http.token)}` };
  const answer = await fetch(new URL(path, url), { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`it answered ${answer.status} ${answer.statusText}`);
  return answer.json();
}

/** Where the agent of a configuration listens, as seen from this machine. */
export function agentUrl(http: HttpConfig): string {
  const address = listenAddress(http.listen);
  if (address === undefined) return `http://${http.listen}`;
  // An agent that listens on every address is reached on this machine's own.
  const host = address.loopback ? address.host : '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
