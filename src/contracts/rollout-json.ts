import * as z from 'zod';
import { rolloutFailures } from '../domain/rollout/rollout-tally.ts';

/*
 * The comparison of two versions as JSON: what the HTTP API answers and the command line reads. Times are epoch
 * milliseconds; null where nothing is known yet.
 */
const ofBoth = <Schema extends z.ZodType>(schema: Schema) => z.object({ candidate: schema, incumbent: schema });

const failuresJson = z.record(z.enum(rolloutFailures), z.number());
const saidJson = z.object({ score: z.number(), threshold: z.number(), verdict: z.enum(['normal', 'abnormal']) });

const rolloutJson = z.object({
  watch: z.string(),
  kind: z.enum(['shadow', 'canary', 'probation']),
  candidate: z.number().describe('Version under test'),
  incumbent: z.number().describe('Version that it is compared with'),
  decides: z.number().describe('Version that decides now'),
  since_ms: z.number(),
  ends_ms: z.number().nullable(),
  windows: z.number().describe('Windows judged by both versions'),
  agreement: z.number().nullable().describe('Share of windows with equal verdicts'),
  table: z.object({
    both_normal: z.number(),
    both_abnormal: z.number(),
    only_candidate: z.number().describe('Windows abnormal only for the candidate'),
    only_incumbent: z.number().describe('Windows abnormal only for the incumbent'),
  }),
  alarm_rate: ofBoth(z.number().nullable()).describe('Share of abnormal windows'),
  score_correlation: z.number().nullable().describe('Pearson correlation of the scores'),
  score_difference: z.number().nullable().describe('Mean score of the candidate minus that of the incumbent'),
  latency_ms: ofBoth(z.object({ p50: z.number().nullable(), p99: z.number().nullable() })).describe(
    'Time from the due time of a window to its judgement, up to 25 % too high',
  ),
  failures: ofBoth(failuresJson).describe('Windows that were not judged'),
  drift: ofBoth(z.number().nullable())
    .extend({ between: z.number().nullable().describe('Scores of the candidate against those of the incumbent') })
    .describe('Population stability index of the scores against the training'),
  disagreements: z
    .array(ofBoth(saidJson).extend({ timestamp_ms: z.number() }))
    .describe('Last windows with different verdicts, oldest first'),
  recent: ofBoth(z.array(z.number()))
    .extend({ timestamps_ms: z.array(z.number()) })
    .describe('Scores on the latest windows, at most 240, oldest first; empty after a start of the agent'),
  thresholds: ofBoth(z.number().nullable()).describe('Thresholds at the latest window'),
  stopped: z
    .object({
      cause: z.enum(['crash', 'deadline', 'invalid-output', 'alarm-rate']),
      reason: z.string(),
      at_ms: z.number(),
    })
    .nullable(),
  conclusion: z.string().describe('Meaning of the result, and the next step'),
});

export const comparisonJson = z.object({
  model: z.string(),
  rollouts: z.array(rolloutJson),
  obstacles: z
    .array(z.object({ watch: z.string(), reason: z.string() }))
    .describe('Configured rollouts that do not run'),
});

export type ComparisonJson = z.infer<typeof comparisonJson>;
export type RolloutJson = z.infer<typeof rolloutJson>;
