import * as z from 'zod';
import { type RecordKind, recordKinds } from '../domain/record/record.ts';
import { thinSchema } from './thinning/thin-config.ts';
import { byteSize, configObject, duration } from '../platform/config-fields.ts';

/** Default batch of a kind of uplink. */
export type BatchDefaults = { readonly recordsMax: number; readonly bytesMax: string; readonly linger: string };

/** Returns the fields of every uplink. Each kind adds them to its own object. */
export function uplinkFields(defaults: BatchDefaults) {
  return {
    records: z
      .array(z.enum(recordKinds))
      .min(1)
      .default([...recordKinds])
      // Without them, a receiver could not tell a hole from silence.
      .transform((kinds) => [...new Set<RecordKind>([...kinds, 'loss', 'start'])])
      .describe(
        'Kinds of records that this uplink sends. Losses of these kinds and starts of the agent are always sent',
      ),
    order: z
      .enum(['oldest-first', 'live-first'])
      .default('oldest-first')
      .describe(
        'Order of records. oldest-first: strictly in order. live-first: after an outage new records are sent before the backlog, each of the two in order',
      ),
    values: z
      .enum(['names', 'columns'])
      .default('names')
      .describe(
        'Values of a verdict record. names: by the name of each tag. columns: in the order of a list of tags, which each message has once',
      ),
    thin: thinSchema
      .optional()
      .describe(
        'Sends less: changes of verdicts, some samples, and a summary of each interval in place of the rest. Requires order: oldest-first. Default: everything is sent',
      ),
    batch: configObject({
      recordsMax: z
        .int()
        .min(1)
        .max(5000)
        .default(defaults.recordsMax)
        .describe('Most records in one batch. If the receiver refuses a batch, all its records become dead letters'),
      bytesMax: byteSize('Most bytes in one batch. A single larger record is sent alone').prefault(defaults.bytesMax),
      linger: duration('How long an idle uplink waits for more records before it sends a batch', {
        maxMs: 60_000,
      }).prefault(defaults.linger),
    })
      .prefault({})
      .describe('Size of a batch'),
    pace: configObject({
      recordsPerSecond: z.number().positive().optional().describe('Most records per second. Default: no limit'),
      bytesPerSecond: byteSize('Most bytes per second, before compression. Default: no limit')
        .refine((bytes) => bytes > 0, { error: 'must be 1B or more' })
        .optional(),
    })
      .prefault({})
      .describe('Rate limits, so that a backlog does not fill the network connection'),
    retry: configObject({
      first: duration('Longest wait before the second attempt; it doubles with each further attempt', {
        minMs: 10,
      }).prefault('1s'),
      max: duration('Longest wait between attempts. The number of attempts is not limited', { minMs: 10 }).prefault(
        '1m',
      ),
      retryAfterMax: duration('Longest Retry-After of the receiver that is followed').prefault('1h'),
    })
      .prefault({})
      .describe('Waits after the receiver did not accept a batch'),
    stopTimeout: duration(
      'Longest wait at a stop for batches in flight. Then they stay in the outbox and are sent after the next start',
      {
        maxMs: 60_000,
      },
    ).prefault('5s'),
  };
}

const anyUplink = configObject(uplinkFields({ recordsMax: 200, bytesMax: '256kB', linger: '100ms' }));

/** Parsed common fields. */
export type UplinkFields = z.infer<typeof anyUplink>;
