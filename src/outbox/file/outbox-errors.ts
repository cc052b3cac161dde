import { type ErrorCatalogue, OperatingError, reject, retry } from '../../platform/errors.ts';

export const outboxErrors = {
  'samples-not-stored': retry(
    'Samples of a source with `acknowledge: stored` could not be stored in the history, so their messages are not acknowledged.',
    'Check the health of `outbox` and the disk. The broker sends the messages again.',
  ),
  'outbox-unavailable': retry(
    'The storage worker cannot store records now: the worker restarts, the disk is full or failing, or another program has the database locked.',
    'andon retries automatically. Check the health of `outbox`: it names the cause. End the program that holds the lock, free space, or see the kernel log of the disk.',
  ),
  'history-worker-lost': retry(
    'The history worker ended or hangs, and is being replaced. Samples wait in memory meanwhile; verdicts and alarms are not affected.',
    'andon replaces it automatically. Check the health of `history`, the free space and the kernel log of the disk.',
  ),
  'history-full': reject(
    'The samples of one write of the history are more than `outbox.historyMaxSize` holds. They were dropped.',
    'Raise `outbox.historyMaxSize`, or shorten `outbox.historyFlushInterval`.',
  ),
  'outbox-full': retry(
    'The outbox reached `outbox.maxSize` and `outbox.onFull` allows no record to be dropped.',
    'Restore the uplinks, raise `outbox.maxSize`, or choose `onFull: drop-samples-first`.',
  ),
  'outbox-queue-full': retry(
    'The records that wait for the disk exceed `outbox.queueRowsMax` or `outbox.queueBytesMax`.',
    'The disk is slower than the rate of records, or accepts none: see the health of `outbox`. Each record that was not stored is in a loss record.',
  ),
  'outbox-path-unusable': retry(
    'The folder of `outbox.path` cannot be created or written.',
    'Create the folder and make the user of andon its owner, or change `outbox.path`.',
  ),
  'outbox-in-use': retry(
    'Another agent uses the outbox at `outbox.path`. The second agent does not start (exit code 1), and `andon outbox rewind` and `andon restore` change nothing.',
    'Give each agent its own `outbox.path`. For a command that needs the agent stopped: `systemctl stop andon`, the command, `systemctl start andon`. With one configured agent, it is already running: see `systemctl status andon`, or find the process with `fuser <outbox.path>`.',
  ),
  'database-newer': reject(
    'A later version of andon wrote a database in the folder of `outbox.path`. The file is left as it is, and the agent does not start (exit code 78).',
    'Install the later version again, or put back the copy from before the upgrade: the message names it. See Downgrade in docs/operations.md.',
  ),
  'database-needs-space': retry(
    'A database has to be migrated to the format of this version, and the disk has no room for a copy of it. The file is left as it is, and the agent does not start.',
    'Free space on the disk of `outbox.path`, or install the previous version.',
  ),
  'database-older': retry(
    'A command reads a database that has the format of an earlier version.',
    'Start the agent once: it migrates the file and keeps a copy of the old one.',
  ),
  'rewind-refused': reject(
    '`andon outbox rewind` cannot move the position of the uplink: the message has the reason. Nothing was changed.',
    'See the positions with `andon outbox stats`. Records are stored for `outbox.retention` after every uplink has them.',
  ),
  'record-too-large': reject(
    'A record has a body larger than `outbox.recordBytesMax`.',
    'Send less in one record, or raise `outbox.recordBytesMax`.',
  ),
  'acknowledge-out-of-order': reject(
    'An uplink acknowledged records while older records of the same lane still wait. Its cursor was not moved.',
    'This is a bug of the uplink. The records will be sent again.',
  ),
  'uplink-unknown': reject(
    'An uplink that is not in the configuration requested records.',
    'This is a bug. Report it with the log.',
  ),
} as const satisfies ErrorCatalogue;

export function unavailable(message: string, cause?: unknown): OperatingError {
  return new OperatingError('outbox-unavailable', 'retry', message, { cause });
}
