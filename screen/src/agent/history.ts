import { readJson } from './agent-api.ts';
import type { Rollup, TagSeries, Verdict, WatchHistory } from './api-types.ts';

export type Resolution = 'samples' | '1m' | '1h';

/** Points above which a coarser resolution is read. */
const POINTS_MAX = 4_500;
const MINUTES_MS_MAX = 2 * 86_400_000;

/** Returns the finest resolution whose answer is small enough. @param spacingMs Time between samples. */
export function resolutionFor(rangeMs: number, spacingMs: number): Resolution {
  if (rangeMs / spacingMs <= POINTS_MAX) return 'samples';
  return rangeMs <= MINUTES_MS_MAX ? '1m' : '1h';
}

/** Reads verdicts, alarms and tags of a watch. */
export function readWatchHistory(
  watch: string,
  fromMs: number,
  toMs: number,
  resolution: Resolution,
): Promise<WatchHistory> {
  const range = `from=${Math.floor(fromMs)}&to=${Math.ceil(toMs)}&resolution=${resolution}`;
  return readJson(`/api/v1/watches/${encodeURIComponent(watch)}/history?${range}`);
}

/** Reads any tags. */
export function readTags(
  tags: readonly string[],
  fromMs: number,
  toMs: number,
  resolution: Resolution,
): Promise<{ readonly tags: readonly (TagSeries | Rollup)[] }> {
  const query = new URLSearchParams({
    tags: tags.join(','),
    from: String(Math.floor(fromMs)),
    to: String(Math.ceil(toMs)),
    resolution,
  });
  return readJson(`/api/v1/history?${query.toString()}`);
}

/** Returns series with what came after them, without what is older than `fromMs`. */
export function appendSeries(
  series: readonly (TagSeries | Rollup)[],
  more: readonly (TagSeries | Rollup)[],
  fromMs: number,
): readonly (TagSeries | Rollup)[] {
  return series.map((own) => {
    const next = more.find(({ tag }) => tag === own.tag);
    if (!isSamples(own) || next === undefined || !isSamples(next)) return own;
    const first = own.timestamps_ms.findIndex((at) => at >= fromMs);
    const begin = first === -1 ? own.timestamps_ms.length : first;
    return {
      tag: own.tag,
      timestamps_ms: [...own.timestamps_ms.slice(begin), ...next.timestamps_ms],
      values: [...own.values.slice(begin), ...next.values],
    };
  });
}

/** Returns verdicts with what came after them, without what is older than `fromMs`. */
export function appendVerdicts(
  verdicts: readonly Verdict[],
  more: readonly Verdict[],
  fromMs: number,
): readonly Verdict[] {
  const lastMs = verdicts.at(-1)?.timestamp_ms ?? 0;
  return [
    ...verdicts.filter(({ timestamp_ms }) => timestamp_ms >= fromMs),
    ...more.filter(({ timestamp_ms }) => timestamp_ms > lastMs),
  ];
}

export function isSamples(series: TagSeries | Rollup): series is TagSeries {
  return 'values' in series;
}

/** Returns the time of the last sample; undefined if there is none. */
export function lastSampleMs(series: readonly (TagSeries | Rollup)[]): number | undefined {
  const last = series.flatMap(({ timestamps_ms }) => timestamps_ms.at(-1) ?? []);
  return last.length === 0 ? undefined : Math.max(...last);
}
