/** Milliseconds since 1970-01-01T00:00:00Z (UTC). Fractions are allowed: the monotonic clock has them. */
export type EpochMs = number;
