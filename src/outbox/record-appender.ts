import type { EpochMs } from '../domain/epoch-ms.ts';
import type { RecordKind } from '../domain/record/record.ts';
import { databaseFault } from './file/database-file.ts';
import { alarmKey } from './alarms/alarm-database.ts';
import type { OutboxConfig } from './file/outbox-config.ts';
import type { OpenOutbox } from './records/outbox-file.ts';
import { ROW_BYTES } from './records/record-space.ts';
import type { AppendBatch } from './file/storage-protocol.ts';

/** Least important first: what is left out of a commit that has no room for all. */
const IMPORTANCE = ['sample', 'verdict', 'loss', 'alarm'] as const satisfies readonly RecordKind[];

export type Appended = {
  /** '' where the draft was dropped, undefined where it was refused. */
  readonly ids: readonly (string | undefined)[];
  readonly bytes: number;
};

/**
 * Stores a batch in one transaction. Where there is no room for all of it and `onFull` gives none, the least
 * important kinds are left out: dropped and remembered as lost, or refused where `onFull` is reject-new.
 *
 * An alarm whose key is taken is not stored twice; it gets the id it has.
 */
export function appendBatch(
  outbox: OpenOutbox,
  batch: AppendBatch,
  onFull: OutboxConfig['onFull'],
  nowMs: EpochMs,
): Appended {
  for (let leaveOut = 0; leaveOut < IMPORTANCE.length; leaveOut += 1) {
    const kept = IMPORTANCE.slice(leaveOut);
    const kinds = new Set<RecordKind>(batch.kinds.filter((kind) => kept.some((candidate) => candidate === kind)));
    const least = kept.find((kind) => kinds.has(kind));
    if (least === undefined) break;
    const bytes = bytesOf(batch, kinds);
    if (!outbox.space.makeRoom(bytes, least, nowMs)) continue;
    try {
      return { ids: store(outbox, batch, kinds, onFull, nowMs), bytes };
    } catch (error) {
      // The estimate was short: go on with less. A disk that is full is the caller's to report.
      if (databaseFault(error) !== 'full' || !outbox.space.space.atCap) throw error;
    }
  }
  return { ids: store(outbox, batch, new Set(), onFull, nowMs), bytes: 0 };
}

function bytesOf(batch: AppendBatch, kinds: ReadonlySet<RecordKind>): number {
  let bytes = 0;
  for (const [index, kind] of batch.kinds.entries())
    if (kinds.has(kind))
      bytes += Buffer.byteLength(batch.bodies[index] ?? '') + Buffer.byteLength(batch.watches[index] ?? '') + ROW_BYTES;
  return bytes;
}

function store(
  { database }: OpenOutbox,
  batch: AppendBatch,
  kinds: ReadonlySet<RecordKind>,
  onFull: OutboxConfig['onFull'],
  nowMs: EpochMs,
): readonly (string | undefined)[] {
  const keys = new Map(
    batch.alarms.map(({ index, transition }) => [index, alarmKey(transition.watch, transition.number)]),
  );
  const left = onFull === 'reject-new' ? undefined : '';
  if (kinds.size === 0 && left === undefined) return batch.kinds.map(() => undefined);
  return database.commit(() =>
    batch.kinds.map((kind, index) => {
      if (!kinds.has(kind)) {
        // An alarm left out is not lost: it waits in the alarm database for room.
        if (left === '' && !keys.has(index))
          database.addLoss({ kind, reason: 'outbox-full', from: 0, to: 0, count: 1 }, nowMs);
        return keys.has(index) ? undefined : left;
      }
      const key = keys.get(index) ?? null;
      const taken = key === null ? undefined : database.statements.byKey.get(key);
      if (taken !== undefined) return database.idOf(taken as { sequence: number; original_id: string | null });
      const sequence = database.insert({
        kind,
        watch: batch.watches[index] ?? '',
        timestampMs: batch.timestampsMs[index] ?? nowMs,
        body: batch.bodies[index] ?? '{}',
        key,
        originalId: null,
      });
      return database.idOf({ sequence, original_id: null });
    }),
  );
}
