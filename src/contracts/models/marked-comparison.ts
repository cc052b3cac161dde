import type { MarkedPeriod } from '../operation/annotations.ts';

/** How a version judges a period. */
export type JudgedPeriod = {
  /** Rows with a verdict. */
  readonly rows: number;
  /** Abnormal ones among them. */
  readonly abnormal: number;
};

/** The present and the new version of a model on all periods that people marked. */
export type MarkedComparison = {
  /** `NAME@VERSION` of the active version; undefined if none is active or it cannot judge the watch. */
  readonly present: string | undefined;
  /** Periods of which the history has rows, oldest first. */
  readonly periods: readonly (MarkedPeriod & {
    readonly present: JudgedPeriod | undefined;
    readonly next: JudgedPeriod;
  })[];
  /** 'activate' or 'keep' if one of the versions is better on the periods; 'none' if the periods do not decide. */
  readonly recommendation: 'activate' | 'keep' | 'none';
  /** The recommendation and its figures, for a person. */
  readonly reason: string;
};
