import * as z from 'zod';
import { watchStates } from '../domain/alarm/watch-state.ts';
import { unknownReasonCodes } from '../domain/alarm/unknown-reasons.ts';
import { codedReason } from '../domain/record/verdict-payload.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import type { WatchSummary } from './watch-summaries.ts';

const learningJson = z
  .object({
    phase: z.enum(['collecting', 'training', 'proposed', 'failed']),
    progress: z.number().describe('Share of learn.for that is covered, 0 to 1'),
    covered_ms: z.number().describe('Time in which every tag had a good value'),
    needed_ms: z.number().describe('learn.for'),
    version: z.number().nullable().describe('The proposed version'),
    reason: z.string().describe('What is missing, or what to do'),
    command: z.string().nullable().describe('Command that activates the proposed version'),
    modes: z
      .array(z.object({ tag: z.string(), value: z.number(), name: z.string().nullable(), seen_ms: z.number() }))
      .describe('Values of tags with few values that the collected time contains'),
  })
  .nullable()
  .describe('How far the watch is in learning a model; null if it has one and trains no other');

/** State of a watch for people, the same for MQTT, server-sent events and HTTP. */
export const watchSummaryJson = z.object({
  watch: z.string(),
  state: z
    .enum(watchStates)
    .describe(
      'uncertain: tags are missing, and the others show nothing abnormal. unknown: no present verdict. blind: for so long that it is an alarm',
    ),
  reason: z.string().describe("Why there is no verdict; '' if there is one"),
  reason_code: z.enum(unknownReasonCodes).optional().describe('Kind of the reason, for translations'),
  reason_parameters: z.record(z.string(), z.string()).optional().describe('Values of the reason'),
  since_ms: z.number().describe('Begin of the state'),
  judged_ms: z.number().nullable().describe('Last window that was judged; null if none was since the start'),
  learning: learningJson,
});

/** Returns the state of a watch as JSON. */
export function watchSummaryToJson({ learning, ...summary }: WatchSummary): z.infer<typeof watchSummaryJson> {
  const { state, reason, sinceMs, judgedMs } = summary;
  const json = snakeJson({
    watch: summary.watch,
    state,
    // The JSON has an empty text for a state without a reason.
    reason: (state === 'learning' ? learning?.reason : reason) ?? '',
    sinceMs: Math.round(sinceMs),
    judgedMs: judgedMs === undefined ? undefined : Math.round(judgedMs),
    learning: learning && {
      ...learning,
      progress: Math.min(1, Math.round((1000 * learning.coveredMs) / learning.neededMs) / 1000),
    },
  });
  return { ...json, ...codedReason(state === 'learning' ? undefined : reason) };
}
