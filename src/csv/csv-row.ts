/** A row of a file, or all values of one time in a file with one value a line. */
export type CsvRow = {
  /** Counts from 0 after the header. */
  readonly row: number;
  /** Line in the file, from 1. */
  readonly line: number;
  /** Undefined in a file without a time column. */
  readonly timeMs: number | undefined;
  /** As written in the file; '' without a time column. */
  readonly timeText: string;
  /** Cells of `CsvOptions.texts`. */
  readonly texts: readonly string[];
  /** One per column; NaN for a missing value. */
  readonly values: Float64Array;
};
