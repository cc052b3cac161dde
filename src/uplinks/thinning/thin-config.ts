import * as z from 'zod';
import { configObject, duration } from '../../platform/config-fields.ts';

/** Schema of the section `thin` of an uplink. */
export const thinSchema = configObject({
  verdicts: z
    .enum(['all', 'changes'])
    .default('changes')
    .describe(
      'Verdict records that are sent. changes: those whose verdict differs from the one before; a summary has the others',
    ),
  summaryEvery: duration(
    'Interval of a summary. It ends early at an alarm, a loss, a start or an output, which are sent immediately',
    {
      minMs: 1000,
      maxMs: 3_600_000,
    },
  ).prefault('1m'),
  samples: configObject({
    every: duration('A sample is sent this long after the last one that was sent of its tag').optional(),
    deadband: z
      .number()
      .nonnegative()
      .optional()
      .describe('A sample is sent if it differs by more from the last one that was sent of its tag'),
  })
    .refine(({ everyMs, deadband }) => everyMs !== undefined || deadband !== undefined, {
      error: 'every or deadband must be set',
    })
    .optional()
    .describe(
      'Samples that are sent: the first of each tag in an interval, each change of quality, and those that every or deadband selects; a summary has the others. Default: all',
    ),
});

/** Durations in milliseconds. */
export type ThinConfig = z.infer<typeof thinSchema>;
