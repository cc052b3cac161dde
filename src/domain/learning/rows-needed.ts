/** Fewest rows that a detector is trained on. */
export const DETECTOR_ROWS_MIN = 200;
/** Rows for limits that can be relied on. */
export const DETECTOR_ROWS_ADVISED = 600;
