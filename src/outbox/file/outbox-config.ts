import * as z from 'zod';
import { byteSize, configObject, duration } from '../../platform/config-fields.ts';

/** A size with a minimum. A smaller file could not hold its own tables and one commit. */
function sizeOf(description: string, bytesMin: number, bytesMax: number) {
  return byteSize(description)
    .refine((bytes) => bytes >= bytesMin, { error: `must be ${bytesMin} bytes or more` })
    .refine((bytes) => bytes <= bytesMax, { error: `must be ${bytesMax} bytes or less` });
}

/** The `outbox:` section: location, retention and limits of records and samples, and what is dropped first. */
export const outboxConfigSchema = configObject({
  path: z
    .string()
    .min(1)
    .default('/var/lib/andon/outbox.db')
    .describe('Path of the outbox database. alarms.db, history.db and a high-water file are in the same folder'),
  maxSize: sizeOf('Largest size of the outbox database, with its -wal and -shm files', 1e6, 1e12).prefault('2GB'),
  onFull: z
    .enum(['drop-samples-first', 'drop-oldest', 'reject-new'])
    .default('drop-samples-first')
    .describe('What is dropped when maxSize is reached. Delivered records are always dropped first, alarms last'),
  retention: duration('How long records are kept after every uplink has delivered them').prefault('7d'),
  history: duration('How long good samples are kept for training, backtests and charts').prefault('30d'),
  historyMaxSize: sizeOf(
    'Largest size of the sample history. The oldest samples are dropped first',
    1e6,
    1e12,
  ).prefault('4GB'),
  historyRollups: duration(
    'How long the minimum, maximum, mean and count of every minute and hour are kept, for trends of months',
  ).prefault('400d'),
  historyFlushInterval: duration(
    'Interval between writes of the sample history. A power failure loses at most the samples of one interval',
    {
      minMs: 100,
      maxMs: 60_000,
    },
  ).prefault('5s'),
  commitInterval: duration(
    'Shortest time between the starts of two commits under load. The next commit also waits for the last one. The first commit after a pause is immediate',
    {
      maxMs: 1000,
    },
  ).prefault('5ms'),
  commitRowsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(500)
    .describe('Number of rows that triggers a commit before commitInterval'),
  commitBytesMax: sizeOf('Number of bytes that triggers a commit before commitInterval', 1000, 16e6).prefault('256kB'),
  queueRowsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'Most rows that wait in memory while the disk is slow, full, locked or failing. Newer ones are lost and reported',
    ),
  queueBytesMax: sizeOf('Most bytes that may wait for the disk', 64e3, 1e9).prefault('32MB'),
  recordBytesMax: sizeOf('Largest body of one record', 1000, 16e6).prefault('256kB'),
  deadLettersMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('Most dead letters kept: records that a receiver refused permanently. The oldest are dropped first'),
});

export type OutboxConfig = z.infer<typeof outboxConfigSchema>;
