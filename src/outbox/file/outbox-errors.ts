import type { ErrorCatalogue } from '../../platform/errors.ts';
import { OperatingError } from '../../platform/errors.ts';

export const outboxErrors = {
  'samples-not-stored': {
    disposition: 'retry',
    meaning: 'Samples of messages that are acknowledged only once they are stored could not be put into the history.',
    remedy: 'Look at the health of `outbox` and at the disk. The broker sends the messages again.',
  },
  'outbox-unavailable': {
    disposition: 'retry',
    meaning:
      'The storage worker or its disk does not take records at the moment: it restarts, or the disk is full or failing.',
    remedy:
      'andon tries again by itself. Look at the health of `outbox`, at free space and at the kernel log of the disk.',
  },
  'outbox-full': {
    disposition: 'retry',
    meaning: 'The outbox reached `outbox.maxSize` and `outbox.onFull` does not allow dropping what would make room.',
    remedy: 'Bring the uplinks back, raise `outbox.maxSize`, or choose `onFull: drop-samples-first`.',
  },
  'outbox-queue-full': {
    disposition: 'retry',
    meaning: 'More records wait for the disk than `outbox.queueRowsMax` or `outbox.queueBytesMax` allow.',
    remedy: 'The disk is slower than the records come. Lower the rate, or use a faster disk.',
  },
  'outbox-path-unusable': {
    disposition: 'retry',
    meaning: 'The folder of `outbox.path` does not exist and cannot be made, or cannot be written to.',
    remedy: 'Create the folder and give it to the user andon runs as, or change `outbox.path`.',
  },
  'outbox-in-use': {
    disposition: 'retry',
    meaning: 'Another agent writes to the outbox at `outbox.path`. The second one does not start (exit code 1).',
    remedy:
      'Give each agent an `outbox.path` of its own. On a box with one agent it already runs: `systemctl status andon`, or `fuser <outbox.path>` names the process.',
  },
  'record-too-large': {
    disposition: 'reject',
    meaning: 'A record has a body larger than `outbox.recordBytesMax`.',
    remedy: 'Send less in one record, or raise `outbox.recordBytesMax`.',
  },
  'acknowledge-out-of-order': {
    disposition: 'reject',
    meaning: 'An uplink acknowledged records while older ones of the same lane still wait; its place was not moved.',
    remedy: 'This is a bug of the uplink. The records will be sent again.',
  },
  'uplink-unknown': {
    disposition: 'reject',
    meaning: 'An uplink that is not in the configuration asked for records.',
    remedy: 'This is a bug. Report it with the log.',
  },
} as const satisfies ErrorCatalogue;

export function unavailable(message: string, cause?: unknown): OperatingError {
  return new OperatingError('outbox-unavailable', 'retry', message, { cause });
}
