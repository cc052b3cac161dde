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

/** Samples of one source arrive up to this much later than those of another, so the newest part is read twice. */
const OVERLAP_MS = 10_000;
/** Samples of one tag on a chart. */
const SAMPLES_MAX = 5_000;

/** Returns the time from which series are read again to follow them; undefined if they are empty. */
export function tailFromMs(series: readonly (TagSeries | Rollup)[]): number | undefined {
  const last = series.flatMap(({ timestamps_ms }) => timestamps_ms.at(-1) ?? []);
  if (last.length === 0) return undefined;
  // The last minute or hour of a rollup is not over yet.
  return series.every(isSamples) ? Math.max(...last) - OVERLAP_MS : Math.min(...last);
}

/**
 * Returns series with their tail, without what is older than `fromMs`. Spans of a rollup that are in both are replaced.
 *
 * @param rangeMs Samples closer together than one of 5,000 in this range are left out, as the agent does.
 */
export function appendSeries(
  series: readonly (TagSeries | Rollup)[],
  tail: readonly (TagSeries | Rollup)[],
  fromMs: number,
  rangeMs = 0,
): readonly (TagSeries | Rollup)[] {
  return series.map((own) => {
    const next = tail.find(({ tag }) => tag === own.tag);
    if (next === undefined || isSamples(own) !== isSamples(next)) return own;
    return isSamples(own)
      ? appendSamples(own, next as TagSeries, fromMs, rangeMs / SAMPLES_MAX)
      : appendSpans(own, next as Rollup, fromMs);
  });
}

function appendSamples(own: TagSeries, next: TagSeries, fromMs: number, spacingMs: number): TagSeries {
  const begin = firstFrom(own.timestamps_ms, fromMs);
  const times = own.timestamps_ms.slice(begin);
  const values = own.values.slice(begin);
  next.timestamps_ms.forEach((at, index) => {
    const last = times.at(-1) ?? -Infinity;
    if (at <= last || at - last < spacingMs) return;
    times.push(at);
    values.push(next.values[index] ?? Number.NaN);
  });
  return { tag: own.tag, timestamps_ms: times, values };
}

function appendSpans(own: Rollup, next: Rollup, fromMs: number): Rollup {
  const begin = firstFrom(own.timestamps_ms, fromMs);
  const end = firstFrom(own.timestamps_ms, next.timestamps_ms[0] ?? Infinity);
  const joined = <Value>(a: readonly Value[], b: readonly Value[]): Value[] => [...a.slice(begin, end), ...b];
  return {
    tag: own.tag,
    timestamps_ms: joined(own.timestamps_ms, next.timestamps_ms),
    min: joined(own.min, next.min),
    max: joined(own.max, next.max),
    mean: joined(own.mean, next.mean),
    count: joined(own.count, next.count),
    quality: joined(own.quality, next.quality),
  };
}

function firstFrom(times: readonly number[], fromMs: number): number {
  const first = times.findIndex((at) => at >= fromMs);
  return first === -1 ? times.length : first;
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
