import { expect } from 'vitest';

/**
 * Number of runs of a measured latency: 100, or fewer on a busy machine, because a series ends after 2 s. The exact numbers are
 * in test/models/latency-check.test.ts.
 */
export const latencyRuns: unknown = expect.toSatisfy(
  (runs: number) => Number.isInteger(runs) && runs >= 1 && runs <= 100,
);
