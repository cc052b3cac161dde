import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { ModelStatus } from '../contracts/inference.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import { type SampleHistory, scoreSeries } from '../contracts/sample-history.ts';
import { watchSummaryToJson } from '../contracts/watch-json.ts';
import type { WatchOverview, WatchStatuses } from '../contracts/watch-statuses.ts';
import type { WatchSummaries, WatchSummary } from '../contracts/watch-summaries.ts';
import { recordJson, type StoredRecord } from '../domain/record/record.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import type { Deps } from '../platform/deps.ts';
import { errorJson } from '../web/http-errors.ts';
import { modelJson, rollupJson, tagSeriesJson, tagReadingJson, verdictJson, watchJson } from './api-schemas.ts';
import { tagJson } from './event-stream.ts';
import { rangeProblem, resolutions, rollupToJson, seriesToJson } from './series-json.ts';

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
  /** ISA-95 location of the agent, `agent.location`. */
  readonly location: string | undefined;
  readonly records: RecordStore;
  readonly history: SampleHistory | undefined;
  readonly summaries: WatchSummaries;
  /** The models loaded in any process of the agent, also those of rollouts. */
  readonly models: () => Promise<LoadedModelStatuses>;
  readonly deps: Deps;
};

/** `GET /api/v1/watches`, their history, the tags' present values and the models in use. */
export function registerWatchRoutes(instance: FastifyInstance, options: WatchRoutesOptions): void {
  const { board, location, models, summaries } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/api/v1/watches',
    {
      schema: {
        summary: 'Watches with their tags and last verdicts',
        response: { 200: z.object({ watches: z.array(watchJson) }) },
      },
    },
    () => {
      const states = new Map(summaries.summaries().map((summary) => [summary.watch, summary]));
      return {
        watches: board
          .watches()
          .flatMap((overview) =>
            watchToJson({ ...overview, location: overview.location ?? location }, states.get(overview.watch)),
          ),
      };
    },
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
      // The JSON has an empty text for a model that is ready.
      const listed = statuses.map((status) => ({ ...status, reason: status.reason ?? '' }));
      return snakeJson({ models: listed, incomplete });
    },
  );
  registerHistory(app, options);
}

const historyQuery = z
  .object({
    from: z.coerce.number().optional().describe('Epoch milliseconds. Default: one hour before `to`'),
    to: z.coerce.number().optional().describe('Epoch milliseconds. Default: now'),
    limit: z.coerce.number().int().min(1).max(VERDICTS_MAX).default(VERDICTS_MAX),
    resolution: z
      .enum(resolutions)
      .default('samples')
      .describe('`samples`: verdicts and samples. `1m`, `1h`: minimum, maximum, mean and count of minutes or hours'),
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
    resolution: z.enum(resolutions),
    verdicts: z.array(verdictJson).describe('Empty with a resolution of minutes or hours'),
    alarms: z.array(z.looseObject({ id: z.string() })),
    score: rollupJson.nullable().describe('Scores of the watch; null for samples, which the verdicts have'),
    tags: z.array(z.union([tagSeriesJson, rollupJson])),
  });
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/watches/:watch/history',
    {
      schema: {
        summary: 'Verdicts, alarms and samples of a watch, or their minutes or hours',
        params: z.object({ watch: z.string() }),
        querystring: historyQuery,
        response: { 200: answer, 400: errorJson, 404: errorJson },
      },
    },
    async ({ params, query }, reply) => {
      const overview = board.watches().find(({ watch }) => watch === params.watch);
      if (overview === undefined) return reply.code(404).send({ error: `There is no watch '${params.watch}'` });
      const toMs = query.to ?? deps.clock.nowMs();
      const fromMs = query.from ?? toMs - HISTORY_MS_DEFAULT;
      const tooLong = rangeProblem(query.resolution, toMs - fromMs);
      if (tooLong !== undefined) return reply.code(400).send({ error: tooLong });
      const range = { watch: params.watch, fromMs, toMs, limit: query.limit };
      const tags = overview.tags.map(({ tag }) => tag);
      const { resolution } = query;
      const [verdicts, alarms, series] = await Promise.all([
        resolution === 'samples' ? records.history({ ...range, kind: 'verdict' }) : [],
        records.history({ ...range, kind: 'alarm' }),
        seriesOf(history, params.watch, tags, { fromMs, toMs, resolution }),
      ]);
      return {
        watch: params.watch,
        from_ms: fromMs,
        to_ms: toMs,
        resolution,
        verdicts: verdicts.map((record) => verdictJson.parse(recordToJson(record))),
        alarms: alarms.map((record) => alarmRecord.parse(recordToJson(record))),
        ...series,
      };
    },
  );
}

const alarmRecord = z.looseObject({ id: z.string() });

function recordToJson(record: StoredRecord): unknown {
  return JSON.parse(recordJson(record));
}

async function seriesOf(
  history: SampleHistory | undefined,
  watch: string,
  tags: readonly string[],
  range: { readonly fromMs: number; readonly toMs: number; readonly resolution: (typeof resolutions)[number] },
) {
  const { fromMs, toMs, resolution } = range;
  if (resolution === 'samples') {
    const series = await history?.read(tags, fromMs, toMs, SAMPLES_PER_TAG_MAX);
    return { score: null, tags: (series ?? []).map(seriesToJson) };
  }
  const rollups = await history?.rollups([scoreSeries(watch), ...tags], fromMs, toMs, resolution);
  const [score = null, ...ofTags] = (rollups ?? []).map(rollupToJson);
  return { score, tags: ofTags };
}

function watchToJson(
  { lastVerdict, tags, normalRanges, ...overview }: WatchOverview,
  summary: WatchSummary | undefined,
): readonly z.infer<typeof watchJson>[] {
  if (summary === undefined) return [];
  return [
    {
      ...snakeJson(overview),
      ...watchSummaryToJson(summary),
      tags: tags.map((reading, column) => ({ ...tagJson(reading), normal_range: rangeOf(normalRanges[column]) })),
      last_verdict: lastVerdict === undefined ? null : verdictJson.parse(verdictPayload(lastVerdict, undefined)),
    },
  ];
}

function rangeOf(range: readonly [number, number] | undefined): [number, number] | null {
  return range === undefined ? null : [range[0], range[1]];
}
