/** Longest interval and deadline: a day; beyond that, it is a mistake in the unit. */
export const DURATION_MS_MAX = 86_400_000;
