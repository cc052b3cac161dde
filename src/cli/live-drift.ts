import * as z from 'zod';
import type { HttpConfig } from '../http/http-config.ts';
import { askAgent } from './live-agent.ts';

const watchesSchema = z.object({
  watches: z.array(z.object({ watch: z.string(), model: z.string(), drift: z.record(z.string(), z.number()) })),
});

export type WatchDrift = { readonly watch: string; readonly indexes: Readonly<Record<string, number>> };

/** Drift of the watches that use a model, as the running agent sees it; undefined where none answers. */
export async function liveDrift(http: HttpConfig, modelName: string): Promise<readonly WatchDrift[] | undefined> {
  const answer = watchesSchema.safeParse(await askAgent(http, '/api/v1/watches'));
  return answer.data?.watches
    .filter(({ model }) => model.split('@')[0] === modelName)
    .map(({ watch, drift }) => ({ watch, indexes: drift }));
}
