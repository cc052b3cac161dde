import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { ModelStatus } from '../contracts/inference.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import type { SampleHistory } from '../contracts/sample-history.ts';
import type { LearningOverview, LearningStatuses } from '../contracts/learning-statuses.ts';
import type { WatchOverview, WatchStatuses } from '../contracts/watch-statuses.ts';
import { recordJson, type StoredRecord } from '../domain/record/record.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { modelJson, tagReadingJson, tagSeriesJson, verdictJson, watchJson } from './api-schemas.ts';
import { tagJson } from './event-stream.ts';

const HISTORY_MS_DEFAULT = 3_600_000;
const VERDICTS_MAX = 5_000;
const SAMPLES_PER_TAG_MAX = 5_000;

type LoadedModelStatuses = {
  readonly statuses: readonly ModelStatus[];
  /** Why the models of the model server are missing; undefined if none are. */
  readonly incomplete: string | undefined;
};

export type WatchRoutesOptions = {
  readonly board: WatchStatuses;
  readonly records: RecordStore;
  readonly history: SampleHistory | undefined;
  readonly learning: LearningStatuses;
  /** The models loaded in any process of the agent, also those of rollouts. */
  readonly models: () => Promise<LoadedModelStatuses>;
  readonly deps: Deps;
};

/** `GET /api/v1/watches`, their history, the tags' present values and the models in use. */
export function registerWatchRoutes(instance: FastifyInstance, options: WatchRoutesOptions): void {
  const { board, models, learning } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/api/v1/watches',
    {
      schema: {
        summary: 'Watches with their tags and last verdicts',
        response: { 200: z.object({ watches: z.array(watchJson) }) },
      },
    },
    () => ({ watches: board.watches().map((overview) => watchToJson(overview, learning.learningOf(overview.watch))) }),
  );
  app.get(
    '/api/v1/tags',
    { schema: { summary: 'Last value of every tag', response: { 200: z.object({ tags: z.array(tagReadingJson) }) } } },
    () => ({ tags: board.tags().map(tagJson) }),
  );
  app.get(
    '/api/v1/models',
    {
      schema: {
        summary: 'Loaded models, including those of rollouts, and the execution provider of each',
        response: {
          200: z.object({
            models: z.array(modelJson),
            incomplete: z
              .string()
              .nullable()
              .describe('Why the models of the model server are missing; null if none are'),
          }),
        },
      },
    },
    async () => {
      const { statuses, incomplete } = await models();
      return snakeJson({ models: statuses, incomplete });
    },
  );
  registerHistory(app, options);
}

const historyQuery = z
  .object({
    from: z.coerce.number().optional().describe('Epoch milliseconds. Default: one hour before `to`'),
    to: z.coerce.number().optional().describe('Epoch milliseconds. Default: now'),
    limit: z.coerce.number().int().min(1).max(VERDICTS_MAX).default(VERDICTS_MAX),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    error: "'from' must not be after 'to'",
  });

function registerHistory(instance: FastifyInstance, options: WatchRoutesOptions): void {
  const { board, records, history, deps } = options;
  const answer = z.object({
    watch: z.string(),
    from_ms: z.number(),
    to_ms: z.number(),
    verdicts: z.array(verdictJson),
    alarms: z.array(z.looseObject({ id: z.string() })),
    tags: z.array(tagSeriesJson),
  });
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/watches/:watch/history',
    {
      schema: {
        summary: 'Verdicts, alarms and samples of a watch',
        params: z.object({ watch: z.string() }),
        querystring: historyQuery,
        response: { 200: answer, 404: errorJson },
      },
    },
    async ({ params, query }, reply) => {
      const overview = board.watches().find(({ watch }) => watch === params.watch);
      if (overview === undefined) return reply.code(404).send({ error: `There is no watch '${params.watch}'` });
      const toMs = query.to ?? deps.clock.nowMs();
      const fromMs = query.from ?? toMs - HISTORY_MS_DEFAULT;
      const range = { watch: params.watch, fromMs, toMs, limit: query.limit };
      const [verdicts, alarms, series] = await Promise.all([
        records.history({ ...range, kind: 'verdict' }),
        records.history({ ...range, kind: 'alarm' }),
        history?.read(
          overview.tags.map(({ tag }) => tag),
          fromMs,
          toMs,
          SAMPLES_PER_TAG_MAX,
        ) ?? [],
      ]);
      return {
        watch: params.watch,
        from_ms: fromMs,
        to_ms: toMs,
        verdicts: verdicts.map((record) => verdictJson.parse(recordToJson(record))),
        alarms: alarms.map((record) => alarmRecord.parse(recordToJson(record))),
        tags: series.map(({ tag, timesMs, values }) => snakeJson({ tag, timestampsMs: timesMs, values })),
      };
    },
  );
}

const alarmRecord = z.looseObject({ id: z.string() });

function recordToJson(record: StoredRecord): unknown {
  return JSON.parse(recordJson(record));
}

function watchToJson(
  { lastVerdict, tags, ...overview }: WatchOverview,
  learning: LearningOverview | undefined,
): z.infer<typeof watchJson> {
  return {
    ...snakeJson({ ...overview, learning }),
    tags: tags.map(tagJson),
    last_verdict: lastVerdict === undefined ? null : verdictJson.parse(verdictPayload(lastVerdict, undefined)),
  };
}
