import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { ModelTrainings, TrainingStatus } from '../../contracts/models/model-trainings.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';
import { actorWithAddress } from '../../web/access/caller.ts';
import { errorJson } from '../../web/http-errors.ts';
import { trainingJson } from './model-schemas.ts';

const tags = ['Management of models'];
const permission = 'models';
const errors = { 401: errorJson, 403: errorJson, 404: errorJson, 409: errorJson };

const body = z
  .strictObject({
    watch: z.string().describe('Watch whose model is trained, from the history of its tags'),
    from_ms: z.number().optional().describe('Default: the first sample of the history'),
    to_ms: z.number().optional().describe('Default: the last sample'),
    force: z.boolean().default(false).describe('Train on fewer rows than the algorithm advises'),
  })
  .refine(({ from_ms, to_ms }) => from_ms === undefined || to_ms === undefined || from_ms < to_ms, {
    error: "'from_ms' must be before 'to_ms'",
  });

/** Trainings of models from the history: start, progress, cancel. */
export function registerTrainings(instance: FastifyInstance, trainings: ModelTrainings): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.post(
    '/api/v1/models/train',
    {
      config: { permission },
      schema: {
        summary: 'Train a new version of the model of a watch from its history',
        description: 'The version is not activated. One training runs at a time, in a process of the lowest priority.',
        tags,
        body,
        response: { 202: trainingJson, 400: errorJson, ...errors },
      },
    },
    async ({ body: { watch, from_ms, to_ms, force }, caller }, reply) => {
      const request = { watch, fromMs: from_ms, toMs: to_ms, force };
      return reply.code(202).send(trainingToJson(trainings.start(request, actorWithAddress(caller))));
    },
  );
  app.get(
    '/api/v1/models/trainings',
    {
      schema: {
        summary: 'Trainings since the start of the agent, the newest first, at most 20',
        tags,
        response: { 200: z.object({ trainings: z.array(trainingJson) }) },
      },
    },
    () => ({ trainings: trainings.list().map(trainingToJson) }),
  );
  app.post(
    '/api/v1/models/trainings/:id/cancel',
    {
      config: { permission },
      schema: {
        summary: 'Cancel a training',
        tags,
        params: z.object({ id: z.coerce.number().int().min(1) }),
        response: { 200: trainingJson, ...errors },
      },
    },
    ({ params }) => trainingToJson(trainings.cancel(params.id)),
  );
}

function trainingToJson(status: TrainingStatus): z.infer<typeof trainingJson> {
  const { id, watch, model, by, state, progress, startedMs, endedMs, version, warnings, metrics, comparison, reason } =
    status;
  return {
    id,
    watch,
    model,
    by,
    state,
    stage: progress?.stage ?? null,
    done: progress?.done ?? null,
    started_ms: startedMs,
    ended_ms: endedMs ?? null,
    version: version ?? null,
    warnings: [...warnings],
    metrics,
    comparison: comparison === undefined ? null : snakeJson(comparison),
    reason: reason ?? null,
  };
}
