import * as z from 'zod';
import { recordKinds } from '../domain/record/record.ts';
import { byteSize, configObject, duration } from '../platform/config-fields.ts';

/** What suits a kind of uplink where the configuration is silent. */
export type BatchDefaults = { readonly recordsMax: number; readonly bytesMax: string; readonly linger: string };

/** The fields that every uplink has, whatever is behind it; a kind spreads them into its own strict object. */
export function uplinkFields(defaults: BatchDefaults) {
  return {
    records: z
      .array(z.enum(recordKinds))
      .min(1)
      .default([...recordKinds])
      .describe('Kinds of records that this uplink sends'),
    order: z
      .enum(['oldest-first', 'live-first'])
      .default('oldest-first')
      .describe(
        'oldest-first: strictly in order. live-first: after an outage what happens now goes before what piled up; ' +
          'each of the two is in order',
      ),
    batch: configObject({
      recordsMax: z
        .int()
        .min(1)
        .max(5000)
        .default(defaults.recordsMax)
        .describe('Most records in one batch; a batch that the receiver refuses is set aside as a whole'),
      bytesMax: byteSize('Most bytes in one batch; a single larger record goes alone').prefault(defaults.bytesMax),
      linger: duration('How long an idle uplink lets records gather before it sends them', {
        maxMs: 60_000,
      }).prefault(defaults.linger),
    })
      .prefault({})
      .describe('Size of a batch'),
    pace: configObject({
      recordsPerSecond: z.number().positive().optional().describe('Most records a second; without it, no limit'),
      bytesPerSecond: byteSize('Most bytes a second, before compression; without it, no limit')
        .refine((bytes) => bytes > 0, { error: 'must be 1B or more' })
        .optional(),
    })
      .prefault({})
      .describe('How fast the uplink may go, so that a backlog does not fill the line'),
    retry: configObject({
      first: duration('Longest wait before the second attempt; doubles with each', { minMs: 10 }).prefault('1s'),
      max: duration('Longest wait between attempts; they never end', { minMs: 10 }).prefault('1m'),
      retryAfterMax: duration('Longest Retry-After of the receiver that is obeyed').prefault('1h'),
    })
      .prefault({})
      .describe('What happens when the receiver does not take a batch'),
    stopTimeout: duration('How long a stop waits for batches in flight; then they stay in the outbox', {
      maxMs: 60_000,
    }).prefault('5s'),
  };
}

const anyUplink = configObject(uplinkFields({ recordsMax: 200, bytesMax: '256kB', linger: '100ms' }));

/** The common fields after parsing: durations in milliseconds, sizes in bytes. */
export type UplinkFields = z.infer<typeof anyUplink>;
