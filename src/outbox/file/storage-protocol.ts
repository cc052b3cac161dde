import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { RecordKind } from '../../domain/record/record.ts';
import type { RecordRef } from '../../domain/record/record-batch.ts';
import type { Annotation, AnnotationDraft, AnnotationQuery } from '../../contracts/operation/annotations.ts';
import type { RewindStart, Rewound } from '../../contracts/operation/maintenance.ts';
import type { OutboxStats, ReadRequest } from '../../contracts/record-store.ts';
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

export type ClaimRequest = Pick<ReadRequest, 'uplink' | 'lane' | 'kinds' | 'after'> & { readonly recordsMax: number };

/** Ranges (after, through] of sequences, in a file. */
export type SequenceSpans = {
  /** Inode of the file: a damaged file is replaced by another. */
  readonly file: number;
  readonly spans: readonly { readonly after: number; readonly through: number }[];
};

/** First and last record of a run without gaps in an uplink's lane. */
export type RecordRun = {
  readonly uplink: string;
  readonly first: RecordRef;
  readonly last: RecordRef;
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
  /** Undefined while the outbox cannot be used. */
  readonly epoch: string | undefined;
  readonly epochsStarted: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Losses of this life of the agent: of an uplink, and of any uplink if `uplink` is undefined. */
  readonly lost: readonly {
    readonly uplink?: string | undefined;
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
  /** Changes the uplinks that records are kept for. */
  uplinks: {
    readonly params: { readonly uplinks: readonly UplinkInterest[]; readonly nowMs: EpochMs };
    readonly result: undefined;
  };
  /** Returns where the next records of an uplink are, for the reader worker. */
  claim: { readonly params: ClaimRequest & { readonly nowMs: EpochMs }; readonly result: SequenceSpans };
  /** Removes the rows that fail their checksum, as losses. */
  damaged: { readonly params: { readonly sequences: readonly number[] }; readonly result: undefined };
  acknowledge: { readonly params: RecordRun & { readonly nowMs: EpochMs }; readonly result: undefined };
  setAside: {
    readonly params: RecordRun & {
      readonly sequences: readonly number[];
      readonly reason: string;
      readonly nowMs: EpochMs;
    };
    readonly result: undefined;
  };
  /** Moves an uplink that does not read now back to an earlier record. */
  rewind: {
    readonly params: { readonly uplink: string; readonly from: RewindStart; readonly nowMs: EpochMs };
    readonly result: Rewound;
  };
  annotate: {
    readonly params: { readonly draft: AnnotationDraft; readonly actor: string; readonly nowMs: EpochMs };
    readonly result: Annotation;
  };
  removeAnnotation: {
    readonly params: { readonly id: string; readonly actor: string; readonly nowMs: EpochMs };
    readonly result: Annotation | undefined;
  };
  annotations: {
    readonly params: AnnotationQuery & { readonly nowMs: EpochMs };
    readonly result: readonly Annotation[];
  };
  alarms: { readonly params: undefined; readonly result: readonly AlarmTransition[] };
  stats: { readonly params: undefined; readonly result: OutboxStats };
  upkeep: { readonly params: { readonly nowMs: EpochMs; readonly idle: boolean }; readonly result: StorageReport };
  close: { readonly params: undefined; readonly result: undefined };
};
