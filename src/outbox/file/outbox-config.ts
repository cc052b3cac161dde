import * as z from 'zod';
import { byteSize, configObject, duration } from '../../platform/config-fields.ts';

/** A size with a floor; below it the file could not hold its own tables and one commit. */
function sizeOf(description: string, bytesMin: number, bytesMax: number) {
  return byteSize(description)
    .refine((bytes) => bytes >= bytesMin, { error: `must be ${bytesMin} bytes or more` })
    .refine((bytes) => bytes <= bytesMax, { error: `must be ${bytesMax} bytes or less` });
}

/** The `outbox:` section: where records and samples are kept, how long, and what goes first when space runs out. */
export const outboxConfigSchema = configObject({
  path: z
    .string()
    .min(1)
    .default('/var/lib/andon/outbox.db')
    .describe('The outbox database; alarms.db, history.db and a high-water file are kept beside it'),
  maxSize: sizeOf('Most bytes of the outbox database', 1e6, 1e12).prefault('2GB'),
  onFull: z
    .enum(['drop-samples-first', 'drop-oldest', 'reject-new'])
    .default('drop-samples-first')
    .describe('What goes when maxSize is reached; delivered records go before any of it, alarms always last'),
  retention: duration('How long records are kept for people after every uplink has them').prefault('7d'),
  history: duration('How long good samples are kept on the box for training, backtests and charts').prefault('30d'),
  historyMaxSize: sizeOf('Most bytes of the sample history; the oldest samples go first', 1e6, 1e12).prefault('4GB'),
  historyFlushInterval: duration('Samples of at most this long are lost when the power fails', {
    minMs: 100,
    maxMs: 60_000,
  }).prefault('5s'),
  commitInterval: duration('Least time between two commits under load; the first after a pause is at once', {
    maxMs: 1000,
  }).prefault('25ms'),
  commitRowsMax: z.int().min(1).max(10_000).default(500).describe('Rows that make a commit due before its interval'),
  commitBytesMax: sizeOf('Bytes that make a commit due before its interval', 1000, 16e6).prefault('256kB'),
  queueRowsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe('Rows that may wait for the disk; past it an append fails with outbox-queue-full'),
  queueBytesMax: sizeOf('Bytes that may wait for the disk', 64e3, 1e9).prefault('32MB'),
  recordBytesMax: sizeOf('Largest body of one record', 1000, 16e6).prefault('256kB'),
  deadLettersMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('Records kept that an uplink refused for good; the oldest go first'),
});

export type OutboxConfig = z.infer<typeof outboxConfigSchema>;
