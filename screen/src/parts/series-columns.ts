import uPlot from 'uplot';
import { isSamples } from '../agent/history.ts';
import type { Rollup, TagSeries } from '../agent/api-types.ts';
import type { ChartData } from './chart.tsx';

type Column = readonly (number | null)[];

/**
 * Returns series on one time axis, in seconds. Samples give one column; minutes and hours three: mean, maximum and minimum, with
 * a gap after each span that is missing.
 */
export function chartColumns(series: readonly (TagSeries | Rollup)[]): ChartData {
  const tables = series.map((each) => tableOf(each));
  if (tables.length === 0) return [[]];
  return uPlot.join(tables as unknown as uPlot.AlignedData[]) as unknown as ChartData;
}

function tableOf(series: TagSeries | Rollup): readonly (readonly (number | null)[])[] {
  if (isSamples(series)) return [series.timestamps_ms.map((ms) => ms / 1000), series.values];
  const { timestamps_ms, mean, max, min } = series;
  const spanMs = smallestStep(timestamps_ms);
  const times: number[] = [];
  const columns: (number | null)[][] = [[], [], []];
  timestamps_ms.forEach((ms, index) => {
    const before = timestamps_ms[index - 1];
    if (before !== undefined && ms - before > 1.5 * spanMs) push((before + spanMs) / 1000, [null, null, null]);
    push(ms / 1000, [mean[index] ?? null, max[index] ?? null, min[index] ?? null]);
  });
  return [times, ...columns];

  function push(seconds: number, values: Column): void {
    times.push(seconds);
    columns.forEach((column, index) => column.push(values[index] ?? null));
  }
}

function smallestStep(times: readonly number[]): number {
  return times.reduce((least, ms, index) => Math.min(least, ms - (times[index - 1] ?? -Infinity)), Infinity);
}
