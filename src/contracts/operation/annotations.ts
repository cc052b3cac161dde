import type { EpochMs } from '../../domain/epoch-ms.ts';

/** `note`: what a person did or saw. `fault` and `normal`: state of the machine in a period, for training and backtests. */
export const annotationLabels = ['note', 'fault', 'normal'] as const;
type AnnotationLabel = (typeof annotationLabels)[number];

export type AnnotationDraft = {
  readonly watch: string;
  readonly fromMs: EpochMs;
  /** The same as `fromMs` for a moment. */
  readonly toMs: EpochMs;
  readonly label: AnnotationLabel;
  readonly text: string;
};

/** What a person recorded about a machine. Removing it is one more record: who recorded what stays visible. */
export type Annotation = AnnotationDraft & {
  readonly id: string;
  readonly actor: string;
  /** When it was recorded. */
  readonly atMs: EpochMs;
  /** Who removed it, and when; undefined while it is valid. */
  readonly removed: { readonly actor: string; readonly atMs: EpochMs } | undefined;
};

/** A period whose state a person marked. It includes both ends. */
export type MarkedPeriod = Pick<AnnotationDraft, 'fromMs' | 'toMs'> & { readonly label: 'fault' | 'normal' };

export type AnnotationQuery = {
  /** Undefined for all watches. */
  readonly watch: string | undefined;
  /** Annotations that overlap this range. */
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
  readonly limit: number;
};

/** Annotations on disk. They do not expire. Calls are refused with 'outbox-unavailable' (retry) while the disk fails. */
export interface Annotations {
  /** Resolves when it is on disk. */
  add(draft: AnnotationDraft, actor: string): Promise<Annotation>;
  /**
   * Records that an annotation is not valid. Resolves when that is on disk.
   *
   * @returns Undefined for an unknown id. One that was removed before stays as it is.
   */
  remove(id: string, actor: string): Promise<Annotation | undefined>;
  /** Returns the newest, also removed ones, by the order in which they were recorded. */
  list(query: AnnotationQuery): Promise<readonly Annotation[]>;
}
