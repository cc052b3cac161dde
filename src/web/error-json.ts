import * as z from 'zod';

/** Body of every error answer. */
export const errorJson = z.object({ error: z.string() });
