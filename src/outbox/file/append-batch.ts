import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { RecordDraft, RecordKind } from '../../domain/record/record.ts';
import type { RecordColumns } from '../../domain/record/verdict-columns.ts';

export type AppendBatch = BatchColumns & {
  /** Counts up. A batch is stored only after the batch before it. */
  readonly number: number;
  /** True if an earlier attempt failed, which may have stored it nevertheless. */
  readonly isRetry: boolean;
};

/** Drafts as columns of equal length, so that a batch crosses the thread boundary as a few arrays. */
export type BatchColumns = {
  readonly kinds: readonly RecordKind[];
  readonly timestampsMs: Float64Array;
  readonly watches: readonly (string | undefined)[];
  /** JSON objects; undefined for a record with columns. */
  readonly bodies: readonly (string | undefined)[];
  /** Lists of names that the columns refer to, each once. */
  readonly names: readonly string[];
  /** Position of each record's list in `names`; -1 for a record without columns. */
  readonly namesOf: Int32Array;
  /** The columns of all records, one after the other, and where each record's end. */
  readonly columns: Uint8Array;
  readonly columnEnds: Uint32Array;
  readonly alarms: readonly { readonly index: number; readonly transition: AlarmTransition }[];
};

/** @param bodies JSON of each draft; undefined for a draft with columns. */
export function batchOf(drafts: readonly RecordDraft[], bodies: readonly (string | undefined)[]): BatchColumns {
  const names = new Map<string, number>();
  const namesOf = new Int32Array(drafts.length).fill(-1);
  const columnEnds = new Uint32Array(drafts.length);
  let bytes = 0;
  for (const [index, { columns }] of drafts.entries()) {
    if (columns !== undefined) {
      const position = names.get(columns.names) ?? names.size;
      names.set(columns.names, position);
      namesOf[index] = position;
      bytes += columns.bytes.length;
    }
    columnEnds[index] = bytes;
  }
  const columns = new Uint8Array(bytes);
  for (const [index, draft] of drafts.entries())
    if (draft.columns !== undefined) columns.set(draft.columns.bytes, columnEnds[index - 1] ?? 0);
  return {
    kinds: drafts.map(({ kind }) => kind),
    timestampsMs: Float64Array.from(drafts, ({ timestampMs }) => timestampMs),
    watches: drafts.map(({ watch }) => watch),
    bodies,
    names: [...names.keys()],
    namesOf,
    columns,
    columnEnds,
    alarms: drafts.flatMap(({ alarm }, index) => (alarm === undefined ? [] : [{ index, transition: alarm }])),
  };
}

/** Returns the JSON or the columns of a record. */
export function bodyOf(batch: AppendBatch, index: number): string | RecordColumns {
  const names = batch.names[batch.namesOf[index] ?? -1];
  if (names === undefined) return batch.bodies[index] ?? '{}';
  return { names, bytes: batch.columns.subarray(batch.columnEnds[index - 1] ?? 0, batch.columnEnds[index]) };
}

/** Returns the bytes of the bodies of the records at these positions. */
export function bodyBytes(batch: AppendBatch, isCounted: (kind: RecordKind) => boolean): number {
  let bytes = 0;
  for (const [index, kind] of batch.kinds.entries()) {
    if (!isCounted(kind)) continue;
    const body = bodyOf(batch, index);
    bytes +=
      typeof body === 'string'
        ? Buffer.byteLength(body) + Buffer.byteLength(batch.watches[index] ?? '')
        : body.bytes.length;
  }
  return bytes;
}

/** Returns the batch without the records that have an alarm. */
export function withoutAlarms(batch: AppendBatch): AppendBatch {
  const refused = new Set(batch.alarms.map(({ index }) => index));
  const isKept = (_: unknown, index: number): boolean => !refused.has(index);
  return {
    ...batch,
    kinds: batch.kinds.filter(isKept),
    timestampsMs: batch.timestampsMs.filter(isKept),
    watches: batch.watches.filter(isKept),
    bodies: batch.bodies.filter(isKept),
    namesOf: batch.namesOf.filter(isKept),
    // An alarm has no columns, so its end is that of the record before.
    columnEnds: batch.columnEnds.filter(isKept),
    alarms: [],
  };
}
