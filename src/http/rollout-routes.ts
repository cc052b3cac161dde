import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { RolloutStatuses, RolloutReport } from '../contracts/rollout-statuses.ts';
import { comparisonJson, type RolloutJson } from '../contracts/rollout-json.ts';
import type { Disagreement } from '../domain/rollout/rollout-tally.ts';

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
      return { model: params.name, rollouts: reports.map(rolloutToJson), obstacles: [...obstacles] };
    },
  );
}

function rolloutToJson({ watch, plan, decides, summary, stopped, conclusion }: RolloutReport): RolloutJson {
  const { table, failures, disagreements } = summary;
  const both = <T>(of: (side: 'candidate' | 'incumbent') => T) => ({
    candidate: of('candidate'),
    incumbent: of('incumbent'),
  });
  return {
    watch,
    kind: plan.kind,
    candidate: plan.candidate,
    incumbent: plan.incumbent,
    decides,
    since_ms: summary.sinceMs,
    ends_ms: plan.endsMs ?? null,
    windows: summary.windows,
    agreement: summary.agreement ?? null,
    table: {
      both_normal: table.bothNormal,
      both_abnormal: table.bothAbnormal,
      only_candidate: table.onlyCandidate,
      only_incumbent: table.onlyIncumbent,
    },
    alarm_rate: both((side) => summary.alarmRate[side] ?? null),
    score_correlation: summary.scoreCorrelation ?? null,
    score_difference: summary.scoreDifference ?? null,
    latency_ms: both((side) => ({
      p50: summary.latencyMs[side].p50 ?? null,
      p99: summary.latencyMs[side].p99 ?? null,
    })),
    failures: both((side) => ({ ...failures[side] })),
    drift: { ...both((side) => summary.drift[side] ?? null), between: summary.drift.between ?? null },
    disagreements: disagreements.map(disagreementToJson),
    stopped:
      stopped === undefined ? null : { cause: stopped.cause, reason: stopped.reason, at_ms: stopped.timestampMs },
    conclusion,
  };
}

function disagreementToJson({ timestampMs, candidate, incumbent }: Disagreement): RolloutJson['disagreements'][number] {
  return { timestamp_ms: timestampMs, candidate: { ...candidate }, incumbent: { ...incumbent } };
}
