import * as z from 'zod';

/** Longest STATE that is read, in bytes. The specification defines two short fields. */
const STATE_BYTES_MAX = 1000;

const stateSchema = z.object({ online: z.boolean(), timestamp: z.int().min(0) });

/** @returns Undefined if the payload is not a STATE of Sparkplug 3.0. `ONLINE` and `OFFLINE` of version 2.2 have no time, so an old will cannot be told from a new birth. */
export function parseHostState(payload: Buffer): z.infer<typeof stateSchema> | undefined {
  try {
    const state = stateSchema.safeParse(JSON.parse(payload.toString('utf8', 0, STATE_BYTES_MAX)));
    return state.success ? state.data : undefined;
  } catch {
    return undefined;
  }
}
