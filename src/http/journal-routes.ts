import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { RecordStore } from '../contracts/record-store.ts';
import { recordJson } from '../domain/record/record.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { journalEntryJson } from './api-schemas.ts';

const RANGE_MS_DEFAULT = 7 * 86_400_000;
const ENTRIES_MAX = 5_000;

const query = z
  .object({
    from: z.coerce.number().optional().describe('Epoch milliseconds. Default: seven days before `to`'),
    to: z.coerce.number().optional().describe('Epoch milliseconds. Default: now'),
    limit: z.coerce.number().int().min(1).max(ENTRIES_MAX).default(1000),
    cursor: z
      .string()
      .regex(/^\d{1,15}(\.\d{1,20})?_\d{1,15}$/, { error: "expected 'next' of an earlier answer" })
      .optional()
      .describe('`next` of an earlier answer: continues after its last change'),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    error: "'from' must not be after 'to'",
  });

/** `GET /api/v1/alarms/journal`: changes of all alarms in a time range, the newest first. */
export function registerJournal(
  instance: FastifyInstance,
  { records, deps }: { readonly records: RecordStore; readonly deps: Deps },
): void {
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/alarms/journal',
    {
      schema: {
        summary: 'Changes of all alarms, the newest first',
        querystring: query,
        response: {
          200: z.object({
            from_ms: z.number(),
            to_ms: z.number(),
            complete: z.boolean().describe('False if the range has more changes'),
            next: z.string().nullable().describe('`cursor` of the next part; null if there is none'),
            changes: z.array(journalEntryJson),
          }),
          503: errorJson,
        },
      },
    },
    async ({ query: { from, to, limit, cursor } }) => {
      const toMs = to ?? deps.clock.nowMs();
      const fromMs = from ?? toMs - RANGE_MS_DEFAULT;
      const range = { watch: undefined, kind: 'alarm', fromMs, toMs, newestFirst: true } as const;
      const [timestampMs = 0, sequence = 0] = cursor?.split('_').map(Number) ?? [];
      const before = cursor === undefined ? undefined : { timestampMs, sequence };
      const found = await records.history({ ...range, limit: limit + 1, before });
      const part = found.slice(0, limit);
      const last = part.at(-1);
      const changes = part.map((record) => journalEntryJson.parse(JSON.parse(recordJson(record))));
      const complete = found.length <= limit;
      const next = complete || last === undefined ? null : `${last.timestampMs}_${last.sequence}`;
      return { from_ms: fromMs, to_ms: toMs, complete, next, changes };
    },
  );
}
