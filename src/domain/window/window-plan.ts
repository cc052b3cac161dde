import type { EpochMs } from '../epoch-ms.ts';

/** How a watch's samples become windows. */
export type WindowPlan = {
  /** Columns of the window, in the model's order. */
  readonly tags: readonly string[];
  /** Rows of the window. */
  readonly steps: number;
  /**
   * Spacing of the rows; they lie on multiples of it since the epoch, so that all watches share one grid.
   * 'scan': a row for each batch that holds the first tag, at that tag's own time.
   */
  readonly stepMs: number | 'scan';
  /** Advance between windows, a multiple of `stepMs`; 'scan' is every row. */
  readonly hopMs: number | 'scan';
  /** A value is held for this long; then its cell is missing. */
  readonly maxAgeMs: number;
  /** How long after a grid point a sample stamped before it still counts. */
  readonly latenessMs: number;
  /** Share of good cells (0–1) that every column needs; what is missing within that is filled from its neighbours. */
  readonly minGood: number;
};

/** A window that fell due. Exactly one verdict follows from it. */
export type DueWindow = {
  /** Time of the last row. */
  readonly timestampMs: EpochMs;
  /** Raw values, shape [steps, tags], row-major, the receiver's own; undefined where it is not fit to judge. */
  readonly values: Float32Array | undefined;
  /** Values of the last row before anything was filled; NaN where missing. The receiver's own. */
  readonly lastRow: Float32Array;
  /** Why it is not fit, with tags and ages, for an operator; '' where it is. */
  readonly reason: string;
};

export type DueListener = (window: DueWindow) => void;

/**
 * Turns the samples of a watch into windows. Knows no clock: every time is an argument, so that a backtest that
 * hands over the same batches gets the same windows. All memory is taken in the constructor and in `resize`.
 */
export interface Windower {
  /** Rows there are towards the first window; equals `steps` once windows fall due. */
  readonly rows: number;
  /** Samples that came after a row they belonged to was sealed; they still count for later rows. */
  readonly lateSamples: number;
  /**
   * @param column Position of the tag in the plan.
   * @param value Finite in float32; only looked at where `good`.
   * @param reason Code of a quality reason; 0 where good.
   */
  add(column: number, timeMs: EpochMs, value: number, good: boolean, reason: number): void;
  /** The batch is complete: seals the rows that nothing can change any more. */
  endBatch(): void;
  /** Time has passed: seals what has waited `latenessMs`. */
  advance(nowMs: EpochMs): void;
  /** When `advance` has something to do next; Infinity where only a sample can move it on. */
  deadlineMs(): EpochMs;
  /**
   * Goes on with windows of another length. Of the rows there are, the newest stay: shorter windows fall due without a
   * break, longer ones once the missing rows have come.
   */
  resize(steps: number): void;
  /** Forgets all values and starts to fill anew, after a jump of the clock. */
  restart(nowMs: EpochMs): void;
}
