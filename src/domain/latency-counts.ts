/** Upper limits of the buckets in milliseconds, from 0.1 ms to 80 s, each 25 % above the previous. The last also counts slower runs. */
const EDGES_MS = Array.from({ length: 62 }, (_, index) => 0.1 * 1.25 ** index);

/** Returns empty latency counts. Their size does not depend on the number of counted runs. */
export function emptyLatencyCounts(): number[] {
  return EDGES_MS.map(() => 0);
}

export function countLatency(counts: number[], latencyMs: number): void {
  const bucket = EDGES_MS.findIndex((edge) => latencyMs <= edge);
  const index = bucket < 0 ? EDGES_MS.length - 1 : bucket;
  counts[index] = (counts[index] ?? 0) + 1;
}

/**
 * Returns the latency quantile, at most 25 % too high.
 * @param share 0–1.
 * @returns Milliseconds; undefined if nothing was counted.
 */
export function latencyQuantile(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let seen = 0;
  const bucket = counts.findIndex((count) => (seen += count) >= share * total && seen > 0);
  return EDGES_MS[bucket];
}
