import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind, StoredRecord } from '../../domain/record/record.ts';
import type { HistoryQuery, OutboxStats, ReadRequest } from '../../contracts/record-store.ts';
import type { ComponentState } from '../../platform/health.ts';
import type { OutboxConfig } from './outbox-config.ts';

/** An uplink as the storage needs to know it: which records are kept for it. */
export type UplinkInterest = { readonly id: string; readonly kinds: readonly RecordKind[] };

/** What the storage worker is started with. */
export type StorageOptions = {
  readonly agentId: string;
  /** `path` is absolute. */
  readonly config: OutboxConfig;
  readonly uplinks: readonly UplinkInterest[];
};

/** Drafts as columns of equal length: a batch crosses the thread boundary as four arrays. */
export type AppendBatch = {
  readonly kinds: readonly RecordKind[];
  readonly timestampsMs: Float64Array;
  readonly watches: readonly string[];
  /** JSON objects. */
  readonly bodies: readonly string[];
  readonly alarms: readonly { readonly index: number; readonly transition: AlarmTransition }[];
};

export type AppendOutcome = {
  /** '' where the draft was dropped, undefined where it was refused. */
  readonly ids: readonly (string | undefined)[];
  /** Why the alarms were refused where their own file failed; else it was as `onFull: reject-new` says. */
  readonly refusal?: string;
};

/** Which records an uplink speaks of: the first and the last of a run without gaps in its lane. */
export type RecordRun = {
  readonly uplink: string;
  readonly first: { readonly id: string; readonly sequence: number };
  readonly last: { readonly id: string; readonly sequence: number };
};

export type StoreHealth = { readonly status: ComponentState; readonly reason: string };

/** Records that will not be sent. Sequences are 0 where the records never got one. */
export type Loss = {
  readonly kind: RecordKind | 'unknown';
  readonly reason: LossReason;
  readonly from: number;
  readonly to: number;
  readonly count: number;
};

type LossReason =
  | 'outbox-full'
  | 'row-damaged'
  | 'dead-letters-full'
  | 'database-damaged'
  | 'database-replaced'
  | 'rows-missing';

/** How the storage stands; comes back with every slice of upkeep. Totals count from the worker's start. */
export type StorageReport = {
  readonly outbox: StoreHealth;
  readonly history: StoreHealth;
  readonly epoch: string;
  readonly epochsStarted: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly historyBytes: number;
  readonly lost: readonly { readonly kind: string; readonly reason: string; readonly count: number }[];
  /** For the log, since the last report. */
  readonly notices: readonly string[];
  /** Records that the upkeep itself stored: losses, alarms of before, salvaged rows. */
  readonly stored: number;
  /** There is more to do: come again soon. */
  readonly more: boolean;
};

/** Samples of several tags, one tag after the other in the columns. */
export type HistoryBatch = {
  readonly tags: readonly string[];
  readonly counts: readonly number[];
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
};

export type HistoryPageRequest = {
  readonly tag: string;
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  /** Samples wanted in all; undefined gives all. Only a hint: the pages together hold some times as many. */
  readonly limit: number | undefined;
  /** Where the last page ended; undefined for the first. */
  readonly after: EpochMs | undefined;
};

export type HistoryPage = {
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  /** Pass it as `after`; undefined at the end. */
  readonly next: EpochMs | undefined;
};

/** The storage worker's whole protocol. */
export type StorageProtocol = {
  open: { readonly params: { readonly nowMs: EpochMs }; readonly result: StorageReport };
  append: { readonly params: AppendBatch; readonly result: AppendOutcome };
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
  historyAppend: { readonly params: HistoryBatch; readonly result: undefined };
  historyRead: { readonly params: HistoryPageRequest; readonly result: HistoryPage };
  close: { readonly params: undefined; readonly result: undefined };
};
