import { HISTORY } from '../../contracts/record-store.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { addedCounts } from '../file/refusals.ts';
import { LOCAL } from './loss-ledger.ts';
import type { OpenOutbox } from './outbox-file.ts';
import type { LossRow, OutboxRow } from './outbox-schema.ts';
import { ROW_BYTES } from './record-space.ts';

/** Ledger rows of one pass. */
const ROWS_MAX = 1000;
/** Ranges of one loss record. Further ones go into the next record. */
const RANGES_MAX = 1000;
/** Age at which a loss record that no uplink gets is left as it is. */
const LOCAL_AGE_MS = 3_600_000;

/** Body of a loss record. */
type LossBody = {
  /** Uplink that lost the records; null if they concern no uplink. */
  readonly uplink: string | null;
  readonly records: string;
  readonly reason: string;
  readonly epoch: string;
  /** First and last sequence; 0 for records without ids. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Sequences, first and last of each range: every record of the kind in a range is lost. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Times of the first and last lost record. */
  readonly from_ms: number;
  readonly to_ms: number;
  /** Number of lost records of each watch, for records without ids. */
  readonly watches: Readonly<Record<string, number>>;
  /** Number of lost samples of each source, for samples of the history. */
  readonly sources?: Readonly<Record<string, number>>;
};

/**
 * Stores the rows of the ledger as loss records: one record for each uplink, kind, reason and epoch. A loss record that waits
 * for its uplink is replaced by one that has the further losses too, so that an uplink that is down costs one record.
 *
 * @returns Number of records.
 */
export function storeLossRecords({ database, space }: OpenOutbox, nowMs: EpochMs): number {
  const rows = database.statements.losses.all(ROWS_MAX) as LossRow[];
  const groups = [...Map.groupBy(rows, keyOf)].map(([key, group]) => {
    const waiting = waitingRecord(database, key, group[0]?.uplink ?? '', nowMs);
    const body = group.reduce<LossBody | undefined>(withRow, waiting?.body);
    return { key, uplink: group[0]?.uplink ?? '', body, waiting };
  });
  if (groups.length === 0) return 0;
  const bytes = groups.reduce((total, { body }) => total + Buffer.byteLength(JSON.stringify(body)) + ROW_BYTES, 0);
  if (!space.makeRoom(bytes, 'loss')) return 0;
  return database.commit(() => {
    for (const { key, uplink, body, waiting } of groups) {
      if (waiting !== undefined) database.remove([{ sequence: waiting.sequence, kind: 'loss' }]);
      database.statements.freeKey.run(key);
      const text = JSON.stringify(body);
      database.insert({ kind: 'loss', watch: uplink, timestampMs: nowMs, body: text, key, originalId: null });
    }
    for (const { number } of rows) database.statements.removeLoss.run(number);
    database.losses.reported();
    return groups.length;
  });
}

/** Records with and without ids do not share a loss record: its ranges would not have its count. */
function keyOf({ uplink, kind, reason, epoch, from_sequence: from }: LossRow): string {
  return `loss/${uplink}/${kind}/${reason}/${epoch}/${from === 0 ? 'no-ids' : 'ids'}`;
}

/** Returns the last loss record of the key, if it still waits for its uplink. */
function waitingRecord(
  database: OpenOutbox['database'],
  key: string,
  uplink: string,
  nowMs: EpochMs,
): { readonly sequence: number; readonly body: LossBody } | undefined {
  const row = database.statements.rowByKey.get(key) as OutboxRow | undefined;
  const record = row === undefined ? undefined : database.rows.verified(row);
  if (record === undefined) return undefined;
  const { sequence, timestampMs } = record;
  const cursor = database.cursors.positions.get(uplink)?.cursor;
  const waits =
    uplink === LOCAL
      ? nowMs - timestampMs < LOCAL_AGE_MS
      : cursor?.rangeOf(sequence, sequence) !== undefined &&
        // A receiver that has it already would count its losses twice.
        !database.cursors.handedOut.mayHave(sequence);
  // The checksum proves that `storeLossRecords` wrote this text.
  const body = JSON.parse(record.body) as LossBody;
  return waits && body.ranges.length < RANGES_MAX ? { sequence, body } : undefined;
}

function withRow(body: LossBody | undefined, row: LossRow): LossBody {
  const { from_sequence: from, to_sequence: to, watches } = row;
  // andon wrote the column as JSON.
  const names = JSON.parse(watches) as Record<string, number>;
  const own = row.kind === HISTORY ? { watches: {}, sources: names } : { watches: names };
  if (body === undefined)
    return {
      uplink: row.uplink === LOCAL ? null : row.uplink,
      records: row.kind,
      reason: row.reason,
      epoch: row.epoch,
      from,
      to,
      count: row.count,
      ranges: from === 0 ? [] : [[from, to]],
      from_ms: row.from_ms,
      to_ms: row.to_ms,
      ...own,
    };
  const last = body.ranges.at(-1);
  const joined = row.joins === 1 && last !== undefined ? ([last[0], to] as const) : ([from, to] as const);
  return {
    ...body,
    from: Math.min(body.from, from),
    to: Math.max(body.to, to),
    count: body.count + row.count,
    ranges: from === 0 ? [] : [...(row.joins === 1 ? body.ranges.slice(0, -1) : body.ranges), joined],
    from_ms: Math.min(body.from_ms, row.from_ms),
    to_ms: Math.max(body.to_ms, row.to_ms),
    watches: addedCounts(body.watches, own.watches),
    ...(own.sources === undefined ? {} : { sources: addedCounts(body.sources ?? {}, own.sources) }),
  };
}
