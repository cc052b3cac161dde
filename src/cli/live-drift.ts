import * as z from 'zod';
import type { HttpConfig } from '../http/http-config.ts';
import { listenAddress } from '../http/http-config.ts';
import { readSecret } from '../platform/config-fields.ts';

const ANSWER_TIMEOUT_MS = 1_000;

const watchesSchema = z.object({
  watches: z.array(z.object({ watch: z.string(), model: z.string(), drift: z.record(z.string(), z.number()) })),
});

export type WatchDrift = { readonly watch: string; readonly indexes: Readonly<Record<string, number>> };

/** Drift of the watches that use a model, as the running agent sees it; undefined where none answers. */
export async function liveDrift(http: HttpConfig, modelName: string): Promise<readonly WatchDrift[] | undefined> {
  const address = listenAddress(http.listen);
  if (address === undefined) return undefined;
  try {
    const headers: Record<string, string> =
      http.token === undefined ? {} : { authorization: `Bearer ${readSecret(http.token)}` };
    // An agent that listens on every address is reached on this machine's own.
    const host = address.loopback ? address.host : '127.0.0.1';
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}/api/v1/watches`;
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const { watches } = watchesSchema.parse(await answer.json());
    return watches
      .filter(({ model }) => model.split('@')[0] === modelName)
      .map(({ watch, drift }) => ({ watch, indexes: drift }));
  } catch {
    // That no agent runs is no fault of a command that shows a file.
    return undefined;
  }
}
