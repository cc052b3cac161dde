/** Longest interval and deadline: one day. A longer value is a wrong unit. */
export const DURATION_MS_MAX = 86_400_000;
