import type { ErrorCatalogue } from '../../platform/errors.ts';
import { OperatingError } from '../../platform/errors.ts';

export const outboxErrors = {
  'samples-not-stored': {
    disposition: 'retry',
    meaning:
      'Samples of a source with `acknowledge: stored` could not be stored in the history, so their messages are not acknowledged.',
    remedy: 'Check the health of `outbox` and the disk. The broker sends the messages again.',
  },
  'outbox-unavailable': {
    disposition: 'retry',
    meaning: 'The storage worker cannot store records now: the worker restarts, or its disk is full or failing.',
    remedy: 'andon retries automatically. Check the health of `outbox`, the free space and the kernel log of the disk.',
  },
  'outbox-full': {
    disposition: 'retry',
    meaning: 'The outbox reached `outbox.maxSize` and `outbox.onFull` allows no record to be dropped.',
    remedy: 'Restore the uplinks, raise `outbox.maxSize`, or choose `onFull: drop-samples-first`.',
  },
  'outbox-queue-full': {
    disposition: 'retry',
    meaning: 'The records that wait for the disk exceed `outbox.queueRowsMax` or `outbox.queueBytesMax`.',
    remedy: 'The disk is slower than the rate of records. Lower the rate, or use a faster disk.',
  },
  'outbox-path-unusable': {
    disposition: 'retry',
    meaning: 'The folder of `outbox.path` cannot be created or written.',
    remedy: 'Create the folder and make the user of andon its owner, or change `outbox.path`.',
  },
  'outbox-in-use': {
    disposition: 'retry',
    meaning: 'Another agent uses the outbox at `outbox.path`. The second agent does not start (exit code 1).',
    remedy:
      'Give each agent its own `outbox.path`. With one configured agent, it is already running: see `systemctl status andon`, or find the process with `fuser <outbox.path>`.',
  },
  'record-too-large': {
    disposition: 'reject',
    meaning: 'A record has a body larger than `outbox.recordBytesMax`.',
    remedy: 'Send less in one record, or raise `outbox.recordBytesMax`.',
  },
  'acknowledge-out-of-order': {
    disposition: 'reject',
    meaning:
      'An uplink acknowledged records while older records of the same lane still wait. Its cursor was not moved.',
    remedy: 'This is a bug of the uplink. The records will be sent again.',
  },
  'uplink-unknown': {
    disposition: 'reject',
    meaning: 'An uplink that is not in the configuration requested records.',
    remedy: 'This is a bug. Report it with the log.',
  },
} as const satisfies ErrorCatalogue;

export function unavailable(message: string, cause?: unknown): OperatingError {
  return new OperatingError('outbox-unavailable', 'retry', message, { cause });
}
