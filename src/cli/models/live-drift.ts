import * as z from 'zod';
import type { HttpConfig } from '../../http/http-config.ts';
import { askAgent } from '../output/agent-request.ts';

const watchesSchema = z.object({
  watches: z.array(z.object({ watch: z.string(), model: z.string(), drift: z.record(z.string(), z.number()) })),
});

export type WatchDrift = { readonly watch: string; readonly indexes: Readonly<Record<string, number>> };

/** Returns the drift of the watches that use a model, from the running agent; undefined if no agent answers. */
export async function liveDrift(http: HttpConfig, modelName: string): Promise<readonly WatchDrift[] | undefined> {
  try {
    const { watches } = watchesSchema.parse(await askAgent(http, '/api/v1/watches'));
    return watches
      .filter(({ model }) => model.split('@')[0] === modelName)
      .map(({ watch, drift }) => ({ watch, indexes: drift }));
  } catch {
    // The command shows a file, so it also works while no agent runs.
    return undefined;
  }
}
