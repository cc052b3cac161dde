import type { EpochMs } from '../domain/epoch-ms.ts';
import type { RecordKind } from '../domain/record/record.ts';
import { databaseFault } from './file/database-file.ts';
import { alarmKey } from './alarms/alarm-database.ts';
import type { OutboxConfig } from './file/outbox-config.ts';
import type { OpenOutbox } from './records/outbox-file.ts';
import { ROW_BYTES } from './records/record-space.ts';
import { type AppendBatch, bodyBytes, bodyOf } from './file/append-batch.ts';
import type { AppendOutcome } from './file/storage-protocol.ts';

/** Kinds, least important first. These are left out first if a commit has no room for all. */
const IMPORTANCE = ['sample', 'verdict', 'loss', 'alarm'] as const satisfies readonly RecordKind[];

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
  for (let leaveOut = 0; leaveOut < IMPORTANCE.length; leaveOut += 1) {
    const kept = IMPORTANCE.slice(leaveOut);
    const kinds = new Set<RecordKind>(batch.kinds.filter((kind) => kept.some((candidate) => candidate === kind)));
    const least = kept.find((kind) => kinds.has(kind));
    if (least === undefined) break;
    const bytes = bodyBytes(batch, (kind) => kinds.has(kind)) + batch.kinds.length * ROW_BYTES;
    if (!outbox.space.makeRoom(bytes, least, nowMs)) continue;
    try {
      return { ids: store(outbox, batch, kinds, onFull, nowMs), bytes };
    } catch (error) {
      // The estimate was too low: continues with fewer kinds. The caller reports a full disk.
      if (databaseFault(error) !== 'full' || !outbox.space.space.atCap) throw error;
    }
  }
  return { ids: store(outbox, batch, new Set(), onFull, nowMs), bytes: 0 };
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
  const keys = new Map(
    batch.alarms.map(({ index, transition }) => [index, alarmKey(transition.watch, transition.number)]),
  );
  return database.commit(() =>
    batch.kinds.map((kind, index) => {
      const key = keys.get(index);
      if (!kinds.has(kind)) {
        // An alarm is not lost: it waits in the alarm database for room.
        if (drops && key === undefined)
          database.losses.add({ kind, reason: 'outbox-full', from: 0, to: 0, count: 1 }, nowMs);
        return undefined;
      }
      const existing = key === undefined ? undefined : database.statements.byKey.get(key);
      if (existing !== undefined)
        return database.epochs.idOf(existing as { sequence: number; original_id: string | null });
      const sequence = database.insert({
        kind,
        watch: batch.watches[index] ?? '',
        timestampMs: batch.timestampsMs[index] ?? nowMs,
        body: bodyOf(batch, index),
        key: key ?? null,
        originalId: null,
      });
      return database.epochs.idOf({ sequence, original_id: null });
    }),
  );
}
