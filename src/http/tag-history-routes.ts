import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { WatchStatuses } from '../contracts/watch-statuses.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { rollupJson, tagSeriesJson } from './api-schemas.ts';
import { rangeProblem, resolutions, rollupToJson, seriesToJson } from './series-json.ts';

/** Tags of one request. */
const TAGS_MAX = 16;
const SAMPLES_PER_TAG_MAX = 5_000;
const RANGE_MS_DEFAULT = 3_600_000;

export type TagHistoryRoutesOptions = {
  readonly board: WatchStatuses;
  readonly history: SampleHistory | undefined;
  readonly deps: Deps;
};

const query = z
  .object({
    tags: z
      .string()
      .transform((text) => [...new Set(text.split(','))])
      .refine((tags) => tags.length <= TAGS_MAX, { error: `expected at most ${TAGS_MAX} tags` })
      .describe('Names of tags, separated by commas'),
    from: z.coerce.number().optional().describe('Epoch milliseconds. Default: one hour before `to`'),
    to: z.coerce.number().optional().describe('Epoch milliseconds. Default: now'),
    resolution: z.enum(resolutions).default('samples'),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    error: "'from' must not be after 'to'",
  });

const answer = z.object({
  from_ms: z.number(),
  to_ms: z.number(),
  resolution: z.enum(resolutions),
  tags: z.array(z.union([tagSeriesJson, rollupJson])),
});

/** `GET /api/v1/history`: samples, minutes or hours of any tags. */
export function registerTagHistory(instance: FastifyInstance, { board, history, deps }: TagHistoryRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/history',
    {
      schema: {
        summary: 'Samples of any tags, or their minutes or hours',
        querystring: query,
        response: { 200: answer, 400: errorJson, 404: errorJson },
      },
    },
    async ({ query: { tags, resolution, ...range } }, reply) => {
      const known = new Set(board.tags().map(({ tag }) => tag));
      const unknown = tags.find((tag) => !known.has(tag));
      if (unknown !== undefined) return reply.code(404).send({ error: `There is no tag '${unknown}'` });
      const toMs = range.to ?? deps.clock.nowMs();
      const fromMs = range.from ?? toMs - RANGE_MS_DEFAULT;
      const tooLong = rangeProblem(resolution, toMs - fromMs);
      if (tooLong !== undefined) return reply.code(400).send({ error: tooLong });
      const series =
        resolution === 'samples'
          ? ((await history?.read(tags, fromMs, toMs, SAMPLES_PER_TAG_MAX)) ?? []).map(seriesToJson)
          : ((await history?.rollups(tags, fromMs, toMs, resolution)) ?? []).map(rollupToJson);
      return { from_ms: fromMs, to_ms: toMs, resolution, tags: series };
    },
  );
}
