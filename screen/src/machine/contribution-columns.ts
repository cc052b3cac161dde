import type { Verdict } from '../agent/api-types.ts';
import type { ChartData } from '../parts/chart.tsx';

/** Returns the tags that contribute most, and the share of each over time. */
export function contributionColumns(
  verdicts: readonly Verdict[],
  tagsMax: number,
): { readonly tags: readonly string[]; readonly data: ChartData } {
  const sums = new Map<string, number>();
  for (const { contributions = [] } of verdicts)
    for (const { tag, share } of contributions) sums.set(tag, (sums.get(tag) ?? 0) + share);
  const tags = [...sums]
    .sort((a, b) => b[1] - a[1])
    .slice(0, tagsMax)
    .map(([tag]) => tag);
  const times = verdicts.map(({ timestamp_ms }) => timestamp_ms / 1000);
  const columns = tags.map((tag) =>
    verdicts.map(({ contributions = [], verdict }) =>
      verdict === 'unknown' ? null : (contributions.find((each) => each.tag === tag)?.share ?? 0),
    ),
  );
  return { tags, data: [times, ...columns] };
}
