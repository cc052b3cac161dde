import * as z from 'zod';
import type { HttpConfig } from '../../http/http-config.ts';
import { askAgent } from '../output/agent-request.ts';

const watchesSchema = z.object({
  watches: z.array(z.object({ watch: z.string(), model: z.string(), drift: z.record(z.string(), z.number()) })),
});

export type WatchDrift = { readonly watch: string; readonly indexes: Readonly<Record<string, number>> };

/** Drift of the watches that use a model, as the running agent sees it; undefined where none answers. */
export async function liveDrift(http: HttpConfig, modelName: string): Promise<readonly WatchDrift[] | undefined> {
  try {
    const { watches } = watchesSchema.parse(await askAgent(http, '/api/v1/watches'));
    return watches
      .filter(({ model }) => model.split('@')[0] === modelName)
      .map(({ watch, drift }) => ({ watch, indexes: drift }));
  } catch {
    // That no agent runs is no fault of a command that shows a file.
    return undefined;
  }
}
