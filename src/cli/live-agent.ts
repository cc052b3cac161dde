import type { HttpConfig } from '../http/http-config.ts';
import { listenAddress } from '../http/http-config.ts';
import { readSecret } from '../platform/config-fields.ts';

const ANSWER_TIMEOUT_MS = 1_000;

/** What the running agent answers to a GET; undefined where none answers, which is no fault of a command about files. */
export async function askAgent(http: HttpConfig, path: string): Promise<unknown> {
  const address = listenAddress(http.listen);
  if (address === undefined) return undefined;
  try {
    const headers: Record<string, string> =
      http.token === undefined ? {} : { authorization: `Bearer ${readSecret(http.token)}` };
    // An agent that listens on every address is reached on this machine's own.
    const host = address.loopback ? address.host : '127.0.0.1';
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}${path}`;
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return await answer.json();
  } catch {
    return undefined;
  }
}
