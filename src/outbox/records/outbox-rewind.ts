import type { RewindStart, Rewound } from '../../contracts/operation/maintenance.ts';
import { channelOf } from '../../domain/notify/notify-cursor.ts';
import { OperatingError } from '../../platform/errors.ts';
import { OutboxLock } from '../file/outbox-lock.ts';
import { OutboxDatabase, type OutboxDatabaseOptions } from './outbox-database.ts';
import { RecordLanes } from './record-lanes.ts';

export type RewindOptions = Omit<OutboxDatabaseOptions, 'readOnly' | 'lossCounts'> & {
  readonly uplink: string;
  /** First record to send again: its sequence, or the time of the oldest. */
  readonly from: RewindStart;
};

/**
 * Moves the position of an uplink back in the file of a stopped agent, so that delivered records are sent again with the same
 * ids. Only records that are still stored can be: `outbox.retention`.
 *
 * @throws {OperatingError} 'outbox-in-use' (retry) while an agent runs; 'rewind-refused' (reject) with the reason.
 */
export function rewindUplink({ uplink, from, ...options }: RewindOptions): Rewound {
  refuseChannel(uplink);
  const lock = new OutboxLock(options.path);
  lock.take();
  try {
    const database = new OutboxDatabase(options);
    try {
      // Otherwise the start of the agent would skip rewound records of a kind that is new to the uplink.
      database.commit(() => new RecordLanes(database).change(options.uplinks));
      return rewind(database, uplink, from);
    } finally {
      database.close();
    }
  } finally {
    lock.release();
  }
}

/**
 * Moves the position of an uplink back. The uplink must not read or acknowledge meanwhile.
 *
 * @throws {OperatingError} 'rewind-refused' (reject) with the reason.
 */
export function rewind(database: OutboxDatabase, uplink: string, from: RewindStart): Rewound {
  refuseChannel(uplink);
  const { cursors, sqlite, statements } = database;
  const position = cursors.positions.get(uplink);
  if (position === undefined) {
    const names = [...cursors.positions.keys()].filter((id) => channelOf(id) === undefined).join(', ');
    throw refused(`There is no uplink '${uplink}'. The configuration has ${names === '' ? 'none' : names}`);
  }
  const { cursor, interest } = position;
  const kinds = JSON.stringify(interest.kinds);
  const first = sqlite
    .prepare(
      `SELECT sequence, timestamp FROM outbox WHERE ${'sequence' in from ? 'sequence' : 'timestamp'} >= ?
       AND kind IN (SELECT value FROM json_each(?)) ORDER BY sequence LIMIT 1`,
    )
    .get('sequence' in from ? from.sequence : from.timeMs, kinds) as
    | { readonly sequence: number; readonly timestamp: number }
    | undefined;
  if (first === undefined) throw refused('No record of the uplink is stored from there on');
  if (first.sequence > cursor.acknowledged)
    throw refused(`Everything from sequence ${first.sequence} on waits for the uplink already`);
  const waiting = (after: number): number =>
    Number(statements.pendingCount.get(after, database.sequence, kinds, uplink));
  const waitedBefore = waiting(cursor.acknowledged);
  database.commit(() => {
    cursor.restore([{ acknowledged: first.sequence - 1, through: undefined }]);
    cursors.moved(uplink);
  });
  cursors.handedOut.release(uplink);
  return { from: first.sequence, fromMs: first.timestamp, waiting: waiting(first.sequence - 1), waitedBefore };
}

/** The channel would ignore the records: it has what was sent in a state of its own. */
function refuseChannel(uplink: string): void {
  const channel = channelOf(uplink);
  if (channel === undefined) return;
  throw refused(
    `'${uplink}' is a channel of notifications, not an uplink: its messages are not sent again. 'andon alarms list' has the alarms, 'andon notify test ${channel}' sends a test`,
  );
}

function refused(message: string): OperatingError {
  return new OperatingError('rewind-refused', 'reject', message);
}
