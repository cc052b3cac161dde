import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { RolloutReport, RolloutStatuses } from '../../contracts/rollout-statuses.ts';
import { comparisonJson } from '../../contracts/rollout-json.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';

/** `GET /api/v1/models/<name>/compare`: versions of a model that judge the same windows, side by side. */
export function registerRolloutRoutes(instance: FastifyInstance, rollouts: RolloutStatuses): void {
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/models/:name/compare',
    {
      schema: {
        summary: 'Rollouts of a model (shadow, canary, probation): two versions on the same windows',
        params: z.object({ name: z.string() }),
        response: { 200: comparisonJson },
      },
    },
    ({ params }) => {
      const { rollouts: reports, obstacles } = rollouts.compare(params.name);
      return snakeJson({ model: params.name, rollouts: reports.map(fieldsOf), obstacles });
    },
  );
}

/** The fields of a report on one level. The schema of the response selects those that it names. */
function fieldsOf({ watch, plan, decides, summary, stopped, conclusion }: RolloutReport) {
  const stop = stopped === undefined ? undefined : { ...stopped, atMs: stopped.timestampMs };
  return { watch, ...plan, decides, ...summary, stopped: stop, conclusion };
}
