import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { RecordDraft, RecordKind, StoredRecord } from '../domain/record/record.ts';

/** The outbox as the pipeline, the uplinks and HTTP see it. All of it runs in the storage worker. */
export interface RecordStore {
  /**
   * Stores drafts in order, in one transaction with whatever else waits.
   *
   * @returns Their ids, once the commit is on disk. An id is '' where `onFull` dropped that very draft; a loss
   *   record then says so. An alarm is never dropped: without room the call is refused with 'outbox-full', and the
   *   alarm waits in the store for room.
   * @throws {OperatingError} 'outbox-unavailable' | 'outbox-full' | 'outbox-queue-full' (retry).
   */
  append(drafts: readonly RecordDraft[]): Promise<readonly string[]>;

  /** The next records for an uplink, oldest first within its lane; empty where it has them all. */
  read(request: ReadRequest): Promise<readonly StoredRecord[]>;

  /** The other side said it has them: moves the uplink's cursor past `throughSequence` of `epoch`'s lane. */
  acknowledge(uplink: string, records: readonly StoredRecord[]): Promise<void>;

  /** The other side refused them for good: dead letters, with the reason; the cursor moves on. */
  setAside(uplink: string, records: readonly StoredRecord[], reason: string): Promise<void>;

  /** Stored verdicts or alarms of a watch, oldest first, at most `limit`. */
  history(query: HistoryQuery): Promise<readonly StoredRecord[]>;

  /** Last transition of every alarm ever stored: what the alarms are at start. */
  alarms(): Promise<readonly AlarmTransition[]>;

  stats(): Promise<OutboxStats>;

  /** Called after each commit with the number of records in it; uplinks wake up on it. */
  onCommit(listener: (count: number) => void): void;

  /** Monotonic time of the worker's last answer; the watchdog is fed only while it advances. */
  lastTickMs(): number;
}

/**
 * Which way through the backlog. `backlog` is strictly in order. `live` skips to what is stored from now on;
 * the two lanes together send every record exactly as often as one would.
 */
export type Lane = 'backlog' | 'live';

export type ReadRequest = {
  readonly uplink: string;
  readonly lane: Lane;
  readonly kinds: readonly RecordKind[];
  readonly recordsMax: number;
  readonly bytesMax: number;
};

export type HistoryQuery = {
  readonly watch: string;
  readonly kind: RecordKind;
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  readonly limit: number;
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
  /** Hours until the outbox is full at the present rate with no uplink; undefined before there is a rate. */
  readonly hoursLeft: number | undefined;
  readonly uplinks: readonly {
    readonly uplink: string;
    readonly waiting: number;
    readonly acknowledgedSequence: number;
    readonly oldestWaitingMs: EpochMs | undefined;
  }[];
};
