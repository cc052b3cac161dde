import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { RecordKind } from '../domain/record/record.ts';
import { databaseFault } from './file/database-file.ts';
import { alarmKey, storedKey } from './alarms/alarm-database.ts';
import type { OutboxConfig } from './file/outbox-config.ts';
import { Refusals } from './file/refusals.ts';
import type { OutboxDatabase } from './records/outbox-database.ts';
import type { OpenOutbox } from './records/outbox-file.ts';
import { NO_WATCH, type OutboxRow } from './records/outbox-schema.ts';
import { ROW_BYTES } from './records/record-space.ts';
import { type AppendBatch, bodyBytes, bodyOf } from './file/append-batch.ts';
import type { AppendOutcome } from './file/storage-protocol.ts';

/** Kinds, least important first. These are left out first if a commit has no room for all. */
const IMPORTANCE = ['sample', 'verdict', 'output', 'loss', 'alarm'] as const satisfies readonly RecordKind[];

/** Rows that upkeep may have stored between two attempts: losses, waiting alarms, a step of a salvage. */
const UPKEEP_ROWS_MAX = 1500;
const telemetry = JSON.stringify(['sample', 'verdict', 'output', 'loss'] satisfies readonly RecordKind[]);

export type Appended = Pick<AppendOutcome, 'ids'> & { readonly bytes: number };

/**
 * Stores a batch in one transaction. Without room for all of it, and if `onFull` frees none, the least important kinds
 * are left out: dropped and counted as lost, or refused with `onFull: reject-new`.
 *
 * An alarm whose key exists is not stored twice; it gets the existing id.
 */
export function appendBatch(
  outbox: OpenOutbox,
  batch: AppendBatch,
  onFull: OutboxConfig['onFull'],
  nowMs: EpochMs,
): Appended {
  const stored = batch.isRetry ? storedBefore(outbox, batch) : undefined;
  if (stored !== undefined) return { ids: stored, bytes: 0 };
  for (let leaveOut = 0; leaveOut < IMPORTANCE.length; leaveOut += 1) {
    const kept = IMPORTANCE.slice(leaveOut);
    const kinds = new Set<RecordKind>(batch.kinds.filter((kind) => kept.some((candidate) => candidate === kind)));
    const least = kept.find((kind) => kinds.has(kind));
    if (least === undefined) break;
    const bytes = bodyBytes(batch, (kind) => kinds.has(kind)) + batch.kinds.length * ROW_BYTES;
    if (!outbox.space.makeRoom(bytes, least)) continue;
    try {
      return { ids: store(outbox, batch, kinds, onFull, nowMs), bytes };
    } catch (error) {
      // The estimate was too low: continues with fewer kinds. The caller reports a full disk.
      if (databaseFault(error) !== 'full' || !outbox.space.space.atCap) throw error;
    }
  }
  return { ids: store(outbox, batch, new Set(), onFull, nowMs), bytes: 0 };
}

/**
 * Returns the ids of a batch that an earlier attempt stored, although it failed: the worker ended between the commit and its
 * answer, or the sync of the commit failed and SQLite found it in the WAL afterwards. A batch is stored as a whole, less
 * the kinds that were left out, so its rows are consecutive.
 */
function storedBefore({ database }: OpenOutbox, batch: AppendBatch): readonly (string | undefined)[] | undefined {
  const from = database.sequence - batch.kinds.length - UPKEEP_ROWS_MAX;
  const rows = (database.statements.pending.all(from, database.sequence, telemetry, null, -1) as OutboxRow[]).filter(
    (row) => database.rows.verified(row) !== undefined,
  );
  for (let leaveOut = 0; leaveOut < IMPORTANCE.length; leaveOut += 1) {
    const kept = new Set<RecordKind>(IMPORTANCE.slice(leaveOut));
    // An alarm has a key, by which it is found.
    const drafts = [...batch.kinds.keys()].filter((index) => {
      const kind = batch.kinds[index];
      return kind !== undefined && kind !== 'alarm' && kept.has(kind);
    });
    if (drafts.length === 0) return undefined;
    const start = rows.findIndex((_, first) =>
      drafts.every((index, offset) => isStoredAs(database, batch, index, rows[first + offset])),
    );
    if (start < 0) continue;
    const ids = new Map(
      rows.slice(start, start + drafts.length).map((row, offset) => [drafts[offset], database.epochs.idOf(row)]),
    );
    const alarmIds = new Map(batch.alarms.map(({ index, transition }) => [index, alarmIdOf(database, transition)]));
    return batch.kinds.map((_, index) => ids.get(index) ?? alarmIds.get(index));
  }
  return undefined;
}

function isStoredAs({ rows }: OutboxDatabase, batch: AppendBatch, index: number, row: OutboxRow | undefined): boolean {
  if (row === undefined || row.kind !== batch.kinds[index] || row.timestamp !== batch.timestampsMs[index]) return false;
  const body = bodyOf(batch, index);
  if (typeof body === 'string') return row.watch === (batch.watches[index] ?? NO_WATCH) && row.body === body;
  return row.names !== null && rows.names.isList(row.names, body.names) && Buffer.from(row.body).equals(body.bytes);
}

function alarmIdOf(database: OutboxDatabase, transition: AlarmTransition): string | undefined {
  const row = database.statements.byKey.get(alarmKey(storedKey(transition)));
  return row === undefined ? undefined : database.epochs.idOf(row as { sequence: number; original_id: string | null });
}

function store(
  { database }: OpenOutbox,
  batch: AppendBatch,
  kinds: ReadonlySet<RecordKind>,
  onFull: OutboxConfig['onFull'],
  nowMs: EpochMs,
): readonly (string | undefined)[] {
  const drops = onFull !== 'reject-new';
  if (kinds.size === 0 && !drops) return batch.kinds.map(() => undefined);
  const alarms = new Map(batch.alarms.map(({ index, transition }) => [index, transition]));
  return database.commit(() => {
    const left = new Refusals();
    const ids = batch.kinds.map((kind, index) => {
      const alarm = alarms.get(index);
      const [timestampMs, watch] = [batch.timestampsMs[index] ?? nowMs, batch.watches[index]];
      if (!kinds.has(kind)) {
        // An alarm is not lost: it waits in the alarm database for room.
        if (drops && alarm === undefined) left.add([{ kind, timestampMs, watch }], 'outbox-full');
        return undefined;
      }
      const existing = alarm === undefined ? undefined : alarmIdOf(database, alarm);
      if (existing !== undefined) return existing;
      const sequence = database.insert({
        kind,
        watch,
        timestampMs,
        body: bodyOf(batch, index),
        key: alarm === undefined ? null : alarmKey(storedKey(alarm)),
        originalId: null,
      });
      return database.epochs.idOf({ sequence, original_id: null });
    });
    database.losses.refused(left.take());
    return ids;
  });
}
