import type { OutboxStats } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { type RecordKind, recordKinds, type StoredRecord } from '../../domain/record/record.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { SpaceGauge } from '../file/database-file.ts';
import { sizeBudget } from '../file/size-budget.ts';
import { FormatRefusal } from '../file/database-format.ts';
import { OutboxDatabase, type OutboxDatabaseOptions } from './outbox-database.ts';
import type { OutboxRow } from './outbox-schema.ts';
import { outboxStatsOf } from './outbox-stats.ts';
import { RecordLanes } from './record-lanes.ts';
import type { UplinkInterest } from '../file/storage-protocol.ts';

/** Rows of one read, so that the agent's WAL can be checkpointed between two reads. */
const READ_ROWS = 500;
const HOUR_MS = 3_600_000;

export type ExportOptions = {
  readonly path: string;
  readonly agentId: string;
  readonly kinds?: readonly RecordKind[];
  /** First sequence to export; 1 exports all. */
  readonly fromSequence?: number;
  /** Called for each row that fails its checksum and is omitted. */
  readonly onDamaged?: (sequence: number) => void;
};

/**
 * Reads every record in an outbox, oldest first, while its agent runs or after it stopped. Changes nothing.
 *
 * @throws {OperatingError} 'outbox-unavailable' if the file is missing, not readable or not an outbox.
 */
export async function* exportRecords(options: ExportOptions): AsyncGenerator<StoredRecord, void, undefined> {
  const database = open(options.path, options.agentId, []);
  try {
    const kinds = JSON.stringify(options.kinds ?? recordKinds);
    let after = (options.fromSequence ?? 1) - 1;
    for (;;) {
      const rows = database.statements.pending.all(
        after,
        Number.MAX_SAFE_INTEGER,
        kinds,
        null,
        READ_ROWS,
      ) as OutboxRow[];
      for (const row of rows) {
        const record = database.rows.verified(row);
        if (record === undefined) options.onDamaged?.(row.sequence);
        else yield record;
      }
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.sequence;
    }
  } finally {
    database.close();
  }
}

export type OutboxStatsOptions = Omit<OutboxDatabaseOptions, 'readOnly' | 'lossCounts'>;

/**
 * Returns the state of an outbox, read by another process. `hoursLeft` is based on the last hour of records.
 *
 * @throws {OperatingError} 'outbox-unavailable' if the file is missing, not readable or not an outbox.
 */
export async function outboxStats({ path, agentId, bytesMax, uplinks }: OutboxStatsOptions): Promise<OutboxStats> {
  const database = open(path, agentId, uplinks);
  try {
    const space = new SpaceGauge(database.sqlite, sizeBudget(bytesMax).fileBytes).read();
    const perHour = recordsOfLastHour(database);
    const recordBytes = space.bytesUsed / Math.max(1, database.counts.total());
    return outboxStatsOf({ database, lanes: new RecordLanes(database), space: { space } }, (bytesFree) =>
      perHour === 0 ? undefined : bytesFree / (perHour * recordBytes),
    );
  } finally {
    database.close();
  }
}

function open(path: string, agentId: string, uplinks: readonly UplinkInterest[]): OutboxDatabase {
  try {
    return new OutboxDatabase({ path, agentId, uplinks, bytesMax: 0, readOnly: true });
  } catch (error) {
    if (error instanceof FormatRefusal) throw error;
    throw new OperatingError('outbox-unavailable', 'retry', `Cannot read the outbox ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Returns the number of records of the last hour, by binary search: times rise with the sequence unless the clock was set. */
function recordsOfLastHour(database: OutboxDatabase): number {
  const at = database.sqlite.prepare(
    'SELECT sequence, timestamp FROM outbox WHERE sequence >= ? ORDER BY sequence LIMIT 1',
  );
  const first = at.get(0) as { readonly sequence: number; readonly timestamp: EpochMs } | undefined;
  const newest = at.get(database.sequence) as { readonly timestamp: EpochMs } | undefined;
  if (first === undefined || newest === undefined || newest.timestamp <= first.timestamp) return 0;
  let [low, high] = [first.sequence, database.sequence];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = at.get(middle) as { readonly timestamp: EpochMs } | undefined;
    if (row === undefined || row.timestamp >= newest.timestamp - HOUR_MS) high = middle;
    else low = middle + 1;
  }
  const spanMs = Math.min(HOUR_MS, newest.timestamp - first.timestamp);
  return ((database.sequence - low + 1) * HOUR_MS) / spanMs;
}
