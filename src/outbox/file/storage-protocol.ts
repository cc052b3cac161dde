import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind, StoredRecord } from '../../domain/record/record.ts';
import type { HistoryQuery, OutboxStats, ReadRequest } from '../../contracts/record-store.ts';
import type { ComponentState } from '../../platform/health.ts';
import type { AppendBatch } from './append-batch.ts';
import type { OutboxConfig } from './outbox-config.ts';
import type { Refusal } from './refusals.ts';

/** An uplink, and the kinds of record that are kept for it. */
export type UplinkInterest = { readonly id: string; readonly kinds: readonly RecordKind[] };

/** Start options of the storage worker. */
export type StorageOptions = {
  readonly agentId: string;
  /** `path` is absolute. */
  readonly config: OutboxConfig;
  readonly uplinks: readonly UplinkInterest[];
  /** Id of this start of the agent. A worker that replaces another one has the same. */
  readonly life: string;
};

export type AppendOutcome = {
  /** Undefined for a draft that was not stored: an alarm is refused, another draft is refused or dropped by `onFull`. */
  readonly ids: readonly (string | undefined)[];
  /** Error of the alarm database, if the alarms were refused because of it. */
  readonly refusal?: string;
};

/** First and last record of a run without gaps in an uplink's lane. */
export type RecordRun = {
  readonly uplink: string;
  readonly first: { readonly id: string; readonly sequence: number };
  readonly last: { readonly id: string; readonly sequence: number };
};

export type StoreHealth = { readonly status: ComponentState; readonly reason: string | undefined };

export type RefusalReport = {
  /** Id of the process' outbox, and number of the report in it: a report that is sent twice counts once. */
  readonly life: string;
  readonly number: number;
  readonly losses: readonly Refusal[];
  readonly nowMs: EpochMs;
};

/** State of the storage, returned by every slice of upkeep. `epochsStarted` counts from the worker's start. */
export type StorageReport = {
  readonly outbox: StoreHealth;
  readonly epoch: string;
  readonly epochsStarted: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Losses since the last report: of an uplink, and of any uplink if `uplink` is undefined. */
  readonly lost: readonly {
    readonly uplink: string | undefined;
    readonly kind: string;
    readonly reason: string;
    readonly count: number;
  }[];
  /** Lines for the log, since the last report. */
  readonly notices: readonly string[];
  /** Records that the upkeep itself stored: losses and pending alarms. */
  readonly stored: number;
  /** True if the next slice is due soon. */
  readonly more: boolean;
};

/** Methods of the storage worker. */
export type StorageProtocol = {
  open: { readonly params: { readonly nowMs: EpochMs }; readonly result: StorageReport };
  append: { readonly params: AppendBatch; readonly result: AppendOutcome };
  lost: { readonly params: RefusalReport; readonly result: undefined };
  read: { readonly params: ReadRequest & { readonly nowMs: EpochMs }; readonly result: readonly StoredRecord[] };
  acknowledge: { readonly params: RecordRun & { readonly nowMs: EpochMs }; readonly result: undefined };
  setAside: {
    readonly params: { readonly uplink: string; readonly records: readonly StoredRecord[]; readonly reason: string } & {
      readonly nowMs: EpochMs;
    };
    readonly result: undefined;
  };
  history: { readonly params: HistoryQuery; readonly result: readonly StoredRecord[] };
  alarms: { readonly params: undefined; readonly result: readonly AlarmTransition[] };
  stats: { readonly params: undefined; readonly result: OutboxStats };
  upkeep: { readonly params: { readonly nowMs: EpochMs; readonly idle: boolean }; readonly result: StorageReport };
  close: { readonly params: undefined; readonly result: undefined };
};
