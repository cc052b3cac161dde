import type { EpochMs } from '../epoch-ms.ts';

/** Rules that turn the samples of a watch into windows. */
export type WindowPlan = {
  /** Columns of the window, in the model's order. */
  readonly tags: readonly string[];
  readonly steps: number;
  /**
   * Time between rows. Rows lie at multiples of it since the epoch, so that all watches share one grid.
   * 'scan': a row for each batch with the first tag, at the time of that tag.
   */
  readonly stepMs: number | 'scan';
  /** Time between windows, a multiple of `stepMs`; 'scan' is every row. */
  readonly hopMs: number | 'scan';
  /** Longest that a value is held. Then its cell is missing. */
  readonly maxAgeMs: number;
  /** How long a row waits for late samples after its grid point. */
  readonly latenessMs: number;
  /** Share of good cells (0–1) that every column needs. The missing cells are then filled with neighbouring values. */
  readonly minGood: number;
  /** Most tags with fewer good cells in a window that a model may estimate; default 0. */
  readonly missingTagsMax?: number;
};

/** A window that is due. It results in exactly one verdict. */
export type DueWindow = {
  readonly timestampMs: EpochMs;
  /**
   * Raw values, shape [steps, tags], row-major, owned by the receiver; undefined if the window cannot be judged. The columns
   * in `missing` are NaN.
   */
  readonly values: Float32Array | undefined;
  /** Columns that a model must estimate before it judges; undefined if none. */
  readonly missing?: readonly number[];
  /** Values of the last row before gaps are filled; NaN if missing. Owned by the receiver. */
  readonly lastRow: Float32Array;
  /** Why it cannot be judged, or why tags are missing, with tags and ages, for an operator; undefined for a complete window. */
  readonly reason: string | undefined;
};

export type DueListener = (window: DueWindow) => void;

/**
 * Turns the samples of a watch into windows. Has no clock: every time is an argument, so that a backtest with the same
 * batches gets the same windows. All memory is allocated in the constructor and in `resize`.
 */
export interface Windower {
  /** Number of rows in the buffer; equals `steps` when windows are due. */
  readonly rows: number;
  /** Number of samples that arrived after their row was sealed. They still count for later rows. */
  readonly lateSamples: number;
  /**
   * @param column Index of the tag in the plan.
   * @param value Finite in float32. Ignored if not `good`.
   * @param reason Code of a quality reason; 0 if good.
   */
  add(column: number, timeMs: EpochMs, value: number, good: boolean, reason: number): void;
  /** Ends a batch: seals the rows that no later sample can change. */
  endBatch(): void;
  /** Advances the time: seals the rows that waited for `latenessMs`. */
  advance(nowMs: EpochMs): void;
  /** Returns the time of the next call of `advance` with an effect; Infinity if it depends on a sample. */
  deadlineMs(): EpochMs;
  /**
   * Changes the window length and keeps the newest rows. Shorter windows are due without a break, longer ones when the
   * missing rows have arrived.
   */
  resize(steps: number): void;
  /** Discards all values and starts again, after a jump of the clock. */
  restart(nowMs: EpochMs): void;
}
