import type { RewindStart, Rewound } from './operation/maintenance.ts';
import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { BatchLimits, RecordBatch } from '../domain/record/record-batch.ts';
import type { RecordDraft, RecordKind, StoredRecord } from '../domain/record/record.ts';

/** The outbox for the pipeline and HTTP. All of it runs in workers. */
export interface RecordStore {
  /**
   * Stores drafts in order, in one transaction with other drafts that wait.
   *
   * @returns Their ids, once the commit is on disk; undefined for a draft that `onFull` dropped, which a loss record
   *   then reports. An alarm is never dropped: without room the call is refused with 'outbox-full', and the alarm
   *   waits in the store for room.
   * @throws {OperatingError} 'outbox-unavailable' | 'outbox-full' | 'outbox-queue-full' (retry).
   */
  append(drafts: readonly RecordDraft[]): Promise<readonly (string | undefined)[]>;

  /**
   * Reports drafts that `append` refused and that their producer does not keep, or samples that the history did not store. They
   * become loss records, once the outbox stores records again.
   *
   * @param reason Code of the error.
   */
  lost(losses: readonly Unstored[], reason: string): void;

  /** Returns stored verdicts or alarms of one or all watches, at most `limit`, oldest first if not requested otherwise. */
  history(query: HistoryQuery): Promise<readonly StoredRecord[]>;

  /** Returns the last transition of every alarm ever stored: the state of the alarms at start. */
  alarms(): Promise<readonly AlarmTransition[]>;

  stats(): Promise<OutboxStats>;

  /** Returns the monotonic time of the worker's last answer. The watchdog is fed only while it advances. */
  lastTickMs(): number;
}

/** The outbox for the uplinks. */
export interface UplinkRecords {
  /** Returns the next records for an uplink in batches, oldest first within its lane; empty if it has them all. */
  read(request: ReadRequest): Promise<readonly RecordBatch[]>;

  /** Moves the uplink's cursor past consecutive batches that the receiver has acknowledged. */
  acknowledge(uplink: string, batches: readonly RecordBatch[]): Promise<void>;

  /** Stores a batch that the receiver refused permanently as dead letters, with the reason, and moves the cursor past it. */
  setAside(uplink: string, batch: RecordBatch, reason: string): Promise<void>;

  /**
   * Moves an uplink back to an earlier record. It must not read or acknowledge meanwhile.
   * @throws {OperatingError} 'rewind-refused' (reject): no such record is stored, or it waits already.
   */
  rewind(uplink: string, from: RewindStart): Promise<Rewound>;

  stats(): Promise<OutboxStats>;

  /**
   * Calls `listener` after each commit with its number of records. Uplinks wake up on it.
   *
   * @returns Ends the calls.
   */
  onCommit(listener: (count: number) => void): () => void;
}

/** Records that were not stored, or good samples that the history did not store. */
export type Unstored = {
  readonly kind: RecordKind | typeof HISTORY;
  /** Time of the first one. */
  readonly timestampMs: EpochMs;
  /** Watch of a record; source of samples; undefined for neither. */
  readonly watch?: string | undefined;
  /** Number of them. Default: 1. */
  readonly count?: number;
  /** Time of the last one. Default: the time of the first. */
  readonly toMs?: EpochMs;
};

/** Kind of lost samples of the history, which are not records of the outbox. */
export const HISTORY = 'history';

/**
 * Order in which an uplink reads. `backlog` is strictly in order. `live` skips to the records stored from now on.
 * Both lanes together read every record once.
 */
export type Lane = 'backlog' | 'live';

export type ReadRequest = {
  readonly uplink: string;
  readonly lane: Lane;
  readonly kinds: readonly RecordKind[];
  readonly limits: BatchLimits;
  readonly batchesMax: number;
  /** 'columns' writes the values of a verdict without the names of the tags, which the batch has once. Default: 'names'. */
  readonly values?: 'names' | 'columns' | undefined;
  /** Last sequence of an earlier read whose records are not settled yet. Undefined reads from the cursor. */
  readonly after: number | undefined;
};

export type HistoryQuery = {
  /** '' for alarms without a watch; undefined for all. */
  readonly watch: string | undefined;
  readonly kind: RecordKind;
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  readonly limit: number;
  /** Returns the newest of the range, newest first. Default: the oldest, oldest first. */
  readonly newestFirst?: boolean | undefined;
  /** With `newestFirst`: continues after this record. */
  readonly before?: { readonly timestampMs: EpochMs; readonly sequence: number } | undefined;
};

export type OutboxStats = {
  readonly epoch: string;
  /** Highest sequence ever given out in this epoch. */
  readonly sequence: number;
  readonly records: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly oldestMs: EpochMs | undefined;
  readonly deadLetters: number;
  readonly lost: number;
  /** Hours until the outbox is full at the current rate without an uplink; undefined before a rate is known. */
  readonly hoursLeft: number | undefined;
  readonly uplinks: readonly {
    readonly uplink: string;
    readonly waiting: number;
    readonly acknowledgedSequence: number;
    readonly oldestWaitingMs: EpochMs | undefined;
  }[];
};
