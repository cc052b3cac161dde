/** Upper edges in milliseconds, each a quarter above the one before: 0.1 ms to 80 s. What is slower falls in the last. */
const EDGES_MS = Array.from({ length: 62 }, (_, index) => 0.1 * 1.25 ** index);

/** An empty count of durations, of a size that does not depend on how many there are. */
export function noLatencies(): number[] {
  return EDGES_MS.map(() => 0);
}

export function countLatency(counts: number[], latencyMs: number): void {
  const bucket = EDGES_MS.findIndex((edge) => latencyMs <= edge);
  const index = bucket < 0 ? EDGES_MS.length - 1 : bucket;
  counts[index] = (counts[index] ?? 0) + 1;
}

/**
 * The duration that a share of them did not exceed, a quarter too long at most.
 * @param share 0–1.
 * @returns Milliseconds; undefined where nothing was counted.
 */
export function latencyQuantile(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let seen = 0;
  const bucket = counts.findIndex((count) => (seen += count) >= share * total && seen > 0);
  return EDGES_MS[bucket];
}
