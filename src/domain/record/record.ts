import type { AlarmTransition } from '../alarm/alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';
import type { RecordColumns } from './verdict-columns.ts';

/**
 * Kinds of records in the outbox. A `loss` lists records that were dropped or may be missing; a `start`, how the agent ended; an
 * `output`, a command to a lamp, a horn or another program.
 */
export const recordKinds = ['alarm', 'verdict', 'sample', 'loss', 'start', 'output'] as const;
export type RecordKind = (typeof recordKinds)[number];

/** JSON object of a record, without its id, kind and time. */
export type RecordBody = Readonly<Record<string, unknown>>;

/** A record before it is stored. It gets its id in the transaction that stores it. */
export type RecordDraft = {
  readonly kind: RecordKind;
  readonly timestampMs: EpochMs;
  /** Undefined for records that concern no watch, such as samples. */
  readonly watch?: string | undefined;
  /** Empty if the record has columns. */
  readonly body: RecordBody;
  readonly columns?: RecordColumns;
  /** Set for alarm records. It is stored in the alarm database before the record. */
  readonly alarm: AlarmTransition | undefined;
};

/** A stored record. `body` is JSON text that passed its checksum. */
export type StoredRecord = {
  readonly id: string;
  readonly sequence: number;
  readonly kind: RecordKind;
  readonly timestampMs: EpochMs;
  /** As in the database: '' without a watch. */
  readonly watch: string;
  readonly body: string;
};

/** Returns `<agent.id>/<epoch>/<sequence>`, by which receivers detect duplicates. */
export function recordId(agentId: string, epoch: string, sequence: number): string {
  return `${agentId}/${epoch}/${sequence}`;
}

/** Returns the record as JSON for uplinks: `{"id","kind","timestamp_ms",…body}`. */
export function recordJson(record: StoredRecord): string {
  const head = recordHead(record.id, record.kind, record.timestampMs);
  return record.body === '{}' ? `${head}}` : `${head},${record.body.slice(1)}`;
}

/** Returns the first fields of the JSON of a record. */
export function recordHead(id: string, kind: RecordKind, timestampMs: EpochMs): string {
  return `{"id":${JSON.stringify(id)},"kind":"${kind}","timestamp_ms":${Math.round(timestampMs)}`;
}
