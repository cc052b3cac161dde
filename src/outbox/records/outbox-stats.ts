import type { OutboxStats } from '../../contracts/record-store.ts';
import type { Space } from '../file/database-file.ts';
import type { OutboxDatabase } from './outbox-database.ts';
import type { RecordLanes } from './record-lanes.ts';

/** The parts of an outbox that are counted. */
type CountedOutbox = {
  readonly database: OutboxDatabase;
  readonly lanes: RecordLanes;
  readonly space: { readonly space: Space };
};

/** Returns the state of the outbox. Takes a few milliseconds for any number of records, see RecordCounts. */
export function outboxStatsOf(
  { database, lanes, space }: CountedOutbox,
  hoursLeft: (bytesFree: number) => number | undefined,
): OutboxStats {
  const { bytesUsed, bytesMax } = space.space;
  return {
    epoch: database.epochs.present,
    sequence: database.sequence,
    records: database.counts.total(),
    bytes: bytesUsed,
    bytesMax,
    oldestMs: database.statements.oldestTimestamp.get() as number | undefined,
    deadLetters: Number(database.statements.deadLetterCount.get()),
    lost: database.losses.total,
    hoursLeft: hoursLeft(bytesMax - bytesUsed),
    uplinks: [...database.cursors.positions].map(([uplink, { cursor }]) => {
      const { count, oldestMs } = lanes.waiting(uplink);
      return { uplink, waiting: count, acknowledgedSequence: cursor.acknowledged, oldestWaitingMs: oldestMs };
    }),
  };
}
