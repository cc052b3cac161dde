import type { AlarmTransition } from '../alarm/alarm.ts';
import type { EpochMs } from '../epoch-ms.ts';

/** What the outbox holds. A `loss` says which records were dropped or can't be proven to exist. */
export const recordKinds = ['alarm', 'verdict', 'sample', 'loss'] as const;
export type RecordKind = (typeof recordKinds)[number];

/** JSON object of a record without its id, kind and time. */
export type RecordBody = Readonly<Record<string, unknown>>;

/** A record on its way into the outbox; it gets its id in the transaction that stores it. */
export type RecordDraft = {
  readonly kind: RecordKind;
  readonly timestampMs: EpochMs;
  /** Watch it belongs to; '' for samples and losses. */
  readonly watch: string;
  readonly body: RecordBody;
  /** Set on alarm records: stored in the alarm database before the record is. */
  readonly alarm: AlarmTransition | undefined;
};

/** A record as stored and sent: `body` is JSON text, already checked against its checksum. */
export type StoredRecord = {
  readonly id: string;
  readonly sequence: number;
  readonly kind: RecordKind;
  readonly timestampMs: EpochMs;
  readonly watch: string;
  readonly body: string;
};

/** `<agent.id>/<epoch>/<sequence>`: the receiver's key to drop a repeat. */
export function recordId(agentId: string, epoch: string, sequence: number): string {
  return `${agentId}/${epoch}/${sequence}`;
}

/** The record as one JSON text in the uplinks' form: `{"id","kind","timestamp_ms",…body}`. */
export function recordJson(record: StoredRecord): string {
  const head = `{"id":${JSON.stringify(record.id)},"kind":"${record.kind}","timestamp_ms":${Math.round(record.timestampMs)}`;
  return record.body === '{}' ? `${head}}` : `${head},${record.body.slice(1)}`;
}
