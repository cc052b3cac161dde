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
  candidate: z.number().describe('Version that is to prove itself'),
  incumbent: z.number().describe('Version that it is measured by'),
  decides: z.number().describe('Version whose judgements are the verdicts now'),
  since_ms: z.number(),
  ends_ms: z.number().nullable(),
  windows: z.number().describe('Judged by both'),
  agreement: z.number().nullable().describe('Share of windows that both judged alike'),
  table: z.object({
    both_normal: z.number(),
    both_abnormal: z.number(),
    only_candidate: z.number().describe('Abnormal by the candidate alone'),
    only_incumbent: z.number().describe('Abnormal by the incumbent alone'),
  }),
  alarm_rate: ofBoth(z.number().nullable()).describe('Share of abnormal windows'),
  score_correlation: z.number().nullable().describe("Pearson's"),
  score_difference: z.number().nullable().describe('Mean of candidate minus incumbent'),
  latency_ms: ofBoth(z.object({ p50: z.number().nullable(), p99: z.number().nullable() })).describe(
    'From a window falling due to its judgement; up to a quarter too long',
  ),
  failures: ofBoth(failuresJson).describe('Windows not judged'),
  drift: ofBoth(z.number().nullable())
    .extend({ between: z.number().nullable().describe("The candidate's scores against the incumbent's") })
    .describe('Population stability index of the scores against the training'),
  disagreements: z.array(ofBoth(saidJson).extend({ timestamp_ms: z.number() })).describe('The last ones, oldest first'),
  stopped: z
    .object({
      cause: z.enum(['crash', 'deadline', 'invalid-output', 'alarm-rate']),
      reason: z.string(),
      at_ms: z.number(),
    })
    .nullable(),
  conclusion: z.string().describe('What it means and what to do next'),
});

export const comparisonJson = z.object({
  model: z.string(),
  rollouts: z.array(rolloutJson),
  obstacles: z
    .array(z.object({ watch: z.string(), reason: z.string() }))
    .describe('Rollouts that the configuration asks for and that are not held'),
});

export type ComparisonJson = z.infer<typeof comparisonJson>;
export type RolloutJson = z.infer<typeof rolloutJson>;
